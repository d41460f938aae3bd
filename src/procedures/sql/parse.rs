//! `CALL name(argument, name => argument, …)`, read as SQL is read: comments, quotes, numbers, blobs.

use super::super::{Call, Given, Value};
use crate::ops::OpError;

const FORM: &str = "write CALL name(argument, name => argument, …), like CALL backup('sync', 'offsite')";

/// Reads a statement that calls a procedure; `None` for any other statement.
///
/// # Errors
/// [`OpError::BadCall`] when it begins with CALL and goes on as no call does.
pub fn parse_call(text: &str) -> Option<Result<Call, OpError>> {
    let mut reader = Reader { rest: text };
    match reader.token() {
        Ok(Some(Token::Word(word))) if word.eq_ignore_ascii_case("call") => {}
        _ => return None,
    }
    let whole = |reason: String| OpError::BadCall { reason, hint: FORM.into() };
    Some(reader.call().map_err(|reason| whole(format!("this is no call: {reason}"))))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A name or a keyword.
    Word(String),
    /// A name in quotes.
    Quoted(String),
    /// A constant.
    Value(Value),
    /// `=>`.
    Arrow,
    /// Any other character.
    Sign(char),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Word(text) | Token::Quoted(text) => format!("'{text}'"),
            Token::Value(value) => format!("'{}'", crate::procedures::rows::shown(value)),
            Token::Arrow => "=>".into(),
            Token::Sign(sign) => format!("'{sign}'"),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// What follows the word CALL, to the end.
    fn call(&mut self) -> Result<Call, String> {
        let name = match self.token()? {
            Some(Token::Word(name) | Token::Quoted(name)) => name,
            other => return Err(expected("the name of a procedure", other)),
        };
        let mut arguments = Vec::new();
        let mut next = self.token()?;
        if next == Some(Token::Sign('(')) {
            next = self.token()?;
            if next != Some(Token::Sign(')')) {
                loop {
                    let (argument, after) = self.argument(next)?;
                    arguments.push(argument);
                    match after {
                        Some(Token::Sign(',')) => next = self.token()?,
                        Some(Token::Sign(')')) => break,
                        other => return Err(expected("a comma or )", other)),
                    }
                }
            }
            next = self.token()?;
        }
        if next == Some(Token::Sign(';')) {
            next = self.token()?;
        }
        match next {
            None => Ok(Call { name, arguments }),
            other => Err(expected("its end", other)),
        }
    }

    /// An argument that begins with a token, and what follows it.
    fn argument(&mut self, first: Option<Token>) -> Result<(Given, Option<Token>), String> {
        let after = self.token_after(&first)?;
        match (first, after) {
            (Some(Token::Word(name) | Token::Quoted(name)), Some(Token::Arrow)) => {
                let first = self.token()?;
                let after = self.token_after(&first)?;
                let (value, after) = self.value(first, after)?;
                Ok((Given { name: Some(name), value }, after))
            }
            (first, after) => {
                let (value, after) = self.value(first, after)?;
                Ok((Given { name: None, value }, after))
            }
        }
    }

    fn token_after(&mut self, first: &Option<Token>) -> Result<Option<Token>, String> {
        if first.is_some() { self.token() } else { Ok(None) }
    }

    /// A constant of one token or, with a sign, two.
    fn value(&mut self, first: Option<Token>, after: Option<Token>) -> Result<(Value, Option<Token>), String> {
        let value = match (first, after) {
            (Some(Token::Sign(sign @ ('-' | '+'))), Some(Token::Value(number))) => {
                let number = match (sign, number) {
                    ('+', number @ (Value::Integer(_) | Value::Real(_))) => number,
                    (_, Value::Integer(number)) => Value::Integer(-number),
                    // The lowest integer is one further from zero than the highest.
                    (_, Value::Real(number)) if number == -(i64::MIN as f64) => Value::Integer(i64::MIN),
                    (_, Value::Real(number)) => Value::Real(-number),
                    (_, other) => return Err(expected("a number", Some(Token::Value(other)))),
                };
                return Ok((number, self.token()?));
            }
            (Some(Token::Value(value)), after) => (value, after),
            (Some(Token::Quoted(text)), after) => (Value::Text(text), after),
            (Some(Token::Word(word)), after) => match word.to_lowercase().as_str() {
                "null" => (Value::Null, after),
                "true" => (Value::Integer(1), after),
                "false" => (Value::Integer(0), after),
                _ => return Err(format!("'{word}' is no constant; a text stands in quotes, '{word}'")),
            },
            (other, _) => return Err(expected("an argument", other)),
        };
        Ok(value)
    }

    /// The next token; `None` at the end.
    fn token(&mut self) -> Result<Option<Token>, String> {
        self.skip_space()?;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let token = match first {
            '\'' => Token::Value(Value::Text(self.quoted('\'')?)),
            '"' | '`' => Token::Quoted(self.quoted(first)?),
            '[' => Token::Quoted(self.quoted(']')?),
            'x' | 'X' if self.rest[1..].starts_with('\'') => {
                self.rest = &self.rest[1..];
                Token::Value(Value::Blob(blob(&self.quoted('\'')?)?))
            }
            '0'..='9' => Token::Value(self.number()?),
            '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => Token::Value(self.number()?),
            '=' if self.rest[1..].starts_with('>') => {
                self.rest = &self.rest[2..];
                Token::Arrow
            }
            c if c.is_alphabetic() || c == '_' => {
                Token::Word(self.take(|c| c.is_alphanumeric() || c == '_' || c == '$'))
            }
            sign => {
                self.rest = &self.rest[sign.len_utf8()..];
                Token::Sign(sign)
            }
        };
        Ok(Some(token))
    }

    fn take(&mut self, part: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken.to_owned()
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("--") {
                self.take(|c| c != '\n');
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let end = comment.find("*/").ok_or("a comment has no end")?;
                self.rest = &comment[end + 2..];
            } else {
                return Ok(());
            }
        }
    }

    /// What stands between quotes; a quote in it is written twice.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = self.rest.chars();
        rest.next();
        while let Some(c) = rest.next() {
            if c != quote {
                text.push(c);
            } else if quote != ']' && rest.as_str().starts_with(quote) {
                rest.next();
                text.push(quote);
            } else {
                self.rest = rest.as_str();
                return Ok(text);
            }
        }
        Err(format!("a text that begins with {} has no end", if quote == ']' { '[' } else { quote }))
    }

    /// An integer, or, when it has a point or an exponent or is too large, a real number.
    fn number(&mut self) -> Result<Value, String> {
        let mut text = self.take(|c| c.is_alphanumeric() || c == '.' || c == '_');
        if text.ends_with(['e', 'E']) && self.rest.starts_with(['-', '+']) && !text.starts_with("0x") {
            text.push_str(&self.rest[..1]);
            self.rest = &self.rest[1..];
            text.push_str(&self.take(|c| c.is_ascii_digit()));
        }
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
            && let Ok(number) = u64::from_str_radix(digits, 16)
        {
            return Ok(Value::Integer(number as i64));
        }
        let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Ok(Value::Integer(number)),
            (_, Ok(number)) if plain => Ok(Value::Real(number)),
            _ => Err(format!("'{text}' is no number")),
        }
    }
}

fn blob(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let even = digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = even.then(|| digits.as_bytes().chunks(2).map(pair).collect()).flatten();
    bytes.ok_or_else(|| format!("x'{digits}' is no blob: it holds pairs of hexadecimal digits"))
}

fn expected(what: &str, found: Option<Token>) -> String {
    match found {
        Some(token) => format!("{what} is expected, not {}", token.shown()),
        None => format!("{what} is missing"),
    }
}
