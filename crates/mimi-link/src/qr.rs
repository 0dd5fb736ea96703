use std::fmt;

use qrcode::{
    EcLevel, QrCode,
    render::{svg, unicode::Dense1x2},
};

/// Blank modules around the code: ISO/IEC 18004 wants four.
const QUIET: usize = 4;
/// Pixels for each module of a PNG picture.
const SCALE: usize = 8;

/// A QR code (ISO/IEC 18004, error correction level M).
pub struct Qr(QrCode);

/// A text of more than about 2,300 octets does not fit into a QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for a QR code")]
pub struct QrError;

impl Qr {
    /// The code of a text.
    ///
    /// # Errors
    /// [`QrError`]
    pub fn new(text: &str) -> Result<Self, QrError> {
        QrCode::with_error_correction_level(text, EcLevel::M).map(Self).map_err(|_| QrError)
    }

    /// For a terminal: half-block characters, two rows of modules on one line. Dark modules are drawn as blanks, for
    /// light text on a dark ground.
    pub fn terminal(&self) -> String {
        self.0.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
    }

    /// As an SVG document without a prolog, so that it can stand inside HTML. It scales without loss.
    pub fn svg(&self) -> String {
        let svg = self.0.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
        svg.find("<svg").and_then(|start| svg.get(start..)).unwrap_or_default().to_owned()
    }

    /// As a PNG picture, 8 by 8 pixels for each module, black on white.
    ///
    /// # Errors
    /// [`QrError`], if the picture cannot be encoded: never.
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let side = (self.0.width() + 2 * QUIET) * SCALE;
        let pixels: Vec<u8> =
            (0..side * side).map(|at| if self.is_dark(at % side, at / side) { 0 } else { 255 }).collect();
        let side = u32::try_from(side).map_err(|_| QrError)?;
        let mut picture = Vec::new();
        let mut encoder = png::Encoder::new(&mut picture, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|_| QrError)?;
        writer.write_image_data(&pixels).map_err(|_| QrError)?;
        writer.finish().map_err(|_| QrError)?;
        Ok(picture)
    }

    /// Whether a pixel of the picture belongs to a dark module.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let module = |pixel: usize| (pixel / SCALE).checked_sub(QUIET).filter(|module| *module < self.0.width());
        matches!((module(x), module(y)), (Some(x), Some(y)) if self.0[(x, y)] == qrcode::Color::Dark)
    }
}

impl fmt::Debug for Qr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Qr({} modules wide)", self.0.width())
    }
}
