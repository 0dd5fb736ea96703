/// Where a disclosure was put.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) disclosure: usize,
    /// The disclosure inside which its digest stands.
    pub(super) parent: Option<usize>,
    /// JSON Pointer (RFC 6901) of the claim or element in the processed payload.
    pub(super) pointer: String,
}

/// Keeps where disclosures are put, if anyone wants to know.
pub(super) struct Places {
    wanted: bool,
    found: Vec<Place>,
    parent: Option<usize>,
    pointer: String,
}

/// How to go back from a member, an element or a disclosure.
#[derive(Clone, Copy)]
pub(super) struct Outer {
    parent: Option<usize>,
    pointer: usize,
}

impl Places {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, found: Vec::new(), parent: None, pointer: String::new() }
    }

    /// Goes to a member.
    pub(super) fn member(&mut self, name: &str) -> Outer {
        let outer = Outer { parent: self.parent, pointer: self.pointer.len() };
        if self.wanted {
            push_token(&mut self.pointer, name);
        }
        outer
    }

    /// Goes to an element.
    pub(super) fn element(&mut self, position: usize) -> Outer {
        if self.wanted { self.member(&position.to_string()) } else { Outer { parent: None, pointer: 0 } }
    }

    /// What is being gone to is this disclosure.
    pub(super) fn disclosed(&mut self, disclosure: usize) {
        if self.wanted {
            self.found.push(Place { disclosure, parent: self.parent, pointer: self.pointer.clone() });
            self.parent = Some(disclosure);
        }
    }

    /// Goes back.
    pub(super) fn back(&mut self, outer: Outer) {
        if self.wanted {
            self.parent = outer.parent;
            self.pointer.truncate(outer.pointer);
        }
    }

    /// In the order in which they were found.
    pub(super) fn into_found(self) -> Vec<Place> {
        self.found
    }
}

/// A reference token of a JSON Pointer (RFC 6901, section 3).
fn push_token(pointer: &mut String, name: &str) {
    pointer.push('/');
    for letter in name.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_pointers_with_the_disclosure_around_them() {
        let mut places = Places::new(true);
        let top = places.member("a/b~c");
        places.disclosed(7);
        let inner = places.element(2);
        places.disclosed(3);
        places.back(inner);
        places.back(top);
        places.member("d");
        places.disclosed(1);
        let found: Vec<_> = places.into_found().into_iter().map(|p| (p.disclosure, p.parent, p.pointer)).collect();
        let expected = [(7, None, "/a~1b~0c"), (3, Some(7), "/a~1b~0c/2"), (1, None, "/d")];
        assert_eq!(found, expected.map(|(disclosure, parent, pointer)| (disclosure, parent, pointer.to_owned())));
    }

    #[test]
    fn nothing_is_kept_if_nobody_asks() {
        let mut places = Places::new(false);
        let outer = places.member("a");
        places.disclosed(1);
        places.back(outer);
        assert!(places.into_found().is_empty());
    }
}
