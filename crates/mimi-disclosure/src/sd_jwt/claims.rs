use super::json::write_string;

/// A JSON value whose objects and arrays say what a holder can withhold. `Debug` shows the content.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A string.
    Text(String),
    /// An array.
    Array(Array),
    /// An object.
    Object(Object),
}

/// The claims of a token, or an object inside them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Object {
    pub(super) members: Vec<(String, Value, bool)>,
    pub(super) decoys: usize,
}

/// An array.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Array {
    pub(super) elements: Vec<Element>,
}

/// An element of an array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Element {
    Plain(Value),
    Hidden(Value),
    Decoy,
}

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member that everyone sees who sees the object.
    #[must_use]
    pub fn plain(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.push((name.to_owned(), value.into(), false));
        self
    }

    /// Adds a member that the holder can withhold. Inside its value, others can again be hidden.
    #[must_use]
    pub fn hidden(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.push((name.to_owned(), value.into(), true));
        self
    }

    /// Adds decoys, so that the number of hidden members does not show (RFC 9901, section 4.2.5).
    #[must_use]
    pub fn decoys(mut self, count: usize) -> Self {
        self.decoys += count;
        self
    }
}

impl Array {
    /// An array without elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an element that everyone sees who sees the array.
    #[must_use]
    pub fn plain(mut self, value: impl Into<Value>) -> Self {
        self.elements.push(Element::Plain(value.into()));
        self
    }

    /// Adds an element that the holder can withhold.
    #[must_use]
    pub fn hidden(mut self, value: impl Into<Value>) -> Self {
        self.elements.push(Element::Hidden(value.into()));
        self
    }

    /// Adds a decoy.
    #[must_use]
    pub fn decoy(mut self) -> Self {
        self.elements.push(Element::Decoy);
        self
    }
}

/// Appends a value that has no members or elements; `false` if it is another one.
pub(super) fn write_plain(value: &Value, out: &mut String) -> bool {
    match value {
        Value::Null => out.push_str("null"),
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Text(text) => write_string(text, out),
        Value::Array(_) | Value::Object(_) => return false,
    }
    true
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Self::Array(array)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}
