/// A value that does not fit on one page of an SQLite database goes on on the next one, behind a number of four octets,
/// and in the write-ahead log behind a header of 24 more. This is the file without those, so that what stands across two
/// neighbouring pages stands together. `None` if the file is neither a database nor its log.
pub(super) fn pages_joined(file: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| -> Option<usize> {
        let octets: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(octets)).ok()
    };
    // Size of a page, octets before the first one, octets before each, octets left out at the start of each.
    let (page, start, header) = if file.starts_with(b"SQLite format 3\0") {
        let octets: [u8; 2] = file.get(16..18)?.try_into().ok()?;
        // 65536 is written as 1.
        let page = match u16::from_be_bytes(octets) {
            1 => 1 << 16,
            size => usize::from(size),
        };
        (page, 0, 0)
    } else if matches!(number(0)?, 0x377f_0682 | 0x377f_0683) {
        (number(8)?, 32, 24)
    } else {
        return None;
    };
    if page < 512 {
        return None;
    }
    let pages = file.get(start..)?.chunks(header + page);
    Some(pages.flat_map(|page| page.get(header + 4..).unwrap_or_default()).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_across_two_pages_stands_together() {
        let mut database = b"SQLite format 3\0\x02\x00".to_vec();
        database.resize(509, 0);
        database.extend(b"ali\x00\x00\x00\x05ce");
        assert!(pages_joined(&database).unwrap().windows(5).any(|window| window == b"alice"));
    }

    #[test]
    fn a_value_across_two_frames_of_the_log_stands_together() {
        let mut log = [0x377f_0682_u32, 3_007_000, 512].map(u32::to_be_bytes).concat();
        log.resize(32 + 24 + 509, 0);
        log.extend(b"ali");
        log.extend([7; 24 + 4]);
        log.extend(b"ce");
        assert!(pages_joined(&log).unwrap().windows(5).any(|window| window == b"alice"));
    }

    #[test]
    fn other_files_are_left_alone() {
        assert_eq!(pages_joined(b""), None);
        assert_eq!(pages_joined(b"a text of some length"), None);
        assert_eq!(pages_joined(b"SQLite format 3\0\x00\x00"), None);
    }
}
