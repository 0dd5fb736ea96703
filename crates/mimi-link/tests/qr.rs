//! QR codes are read with a reader of another project.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mimi_link::{HubFingerprint, JoinCode, JoinLink, Qr, RoomLink};
use mimi_pseudonym::{CipherSuite, RoomUri, SeededEntropy};

fn link() -> JoinLink {
    let room: RoomUri = RoomUri::pseudonym(&"a.example".parse().unwrap(), [9; 16]);
    let hub = HubFingerprint::of(CipherSuite::P256Aes128P256, &[4; 65]);
    JoinLink { room, code: JoinCode::generate(&mut SeededEntropy::new([1; 32])), hub, role: None }
}

/// Reads a code from dark and light pixels.
fn read(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> String {
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, pixel);
    let grids = picture.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

#[test]
fn a_png_leads_back_to_the_link() {
    let octets = Qr::new(&link().reveal()).unwrap().png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(octets)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let text = read(width, height, |x, y| pixels[y * width + x]);
    assert_eq!(text.parse(), Ok(RoomLink::Join(link())));
}

#[test]
fn what_a_terminal_shows_leads_back_to_the_link() {
    let shown = Qr::new(&link().reveal()).unwrap().terminal();
    let rows: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
    let scale = 6;
    // Ink is light: a full block lights both halves of its cell.
    let lit = |x: usize, y: usize| {
        let cell = rows.get(y / 2).and_then(|row| row.get(x)).copied().unwrap_or(' ');
        matches!((cell, y % 2), ('█', _) | ('▀', 0) | ('▄', 1))
    };
    let (width, height) = (rows[0].len() * scale, rows.len() * 2 * scale);
    let text = read(width, height, |x, y| if lit(x / scale, y / scale) { 255 } else { 0 });
    assert_eq!(text.parse(), Ok(RoomLink::Join(link())));
}

#[test]
fn an_svg_has_no_prolog_and_no_link_in_plain_text() {
    let svg = Qr::new(&link().reveal()).unwrap().svg();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(!svg.contains("mimi:") && !svg.contains("<script"));
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    assert!(Qr::new(&"x".repeat(2_000)).is_ok());
    assert!(Qr::new(&"x".repeat(3_000)).is_err());
}
