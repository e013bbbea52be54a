//! Python's two ways to fill values into a text: `%` and `str.format`.

use std::rc::Rc;

use super::eval::{Answer, Given, Interpreter};
use super::value::{Value, float, number, type_name, whole};

/// The widest field.
const WIDEST: usize = 1 << 20;

/// How letters are cased.
#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    /// The first letter large, the others small.
    Capitalized,
    /// The first letter of each word.
    Titled,
    Swapped,
}

impl Case {
    pub fn of(self, text: &str) -> String {
        let mut made = String::with_capacity(text.len());
        let mut inside = false;
        for letter in text.chars() {
            let large = match self {
                Self::Capitalized | Self::Titled => !inside,
                Self::Swapped => letter.is_lowercase(),
            };
            if large {
                made.extend(letter.to_uppercase());
            } else {
                made.extend(letter.to_lowercase());
            }
            inside = matches!(self, Self::Capitalized) || letter.is_alphabetic();
        }
        made
    }
}

/// A text filled up to a width.
pub(super) fn padded(text: &str, width: usize, fill: char, align: char) -> String {
    let gap = width.saturating_sub(text.chars().count());
    let left = match align {
        '<' => 0,
        '>' => gap,
        // What `str.center` does, unlike a format: an odd gap has more on the left where the width is odd.
        'c' => gap / 2 + (gap & width & 1),
        _ => gap / 2,
    };
    let fill = |count: usize| std::iter::repeat_n(fill, count);
    fill(left).chain(text.chars()).chain(fill(gap - left)).collect()
}

/// What stands between the sign and the letter of a field.
#[derive(Clone, Debug)]
struct Field {
    fill: char,
    align: Option<char>,
    sign: Option<char>,
    alternative: bool,
    zeros: bool,
    width: usize,
    thousands: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Default for Field {
    fn default() -> Self {
        Self {
            fill: ' ',
            align: None,
            sign: None,
            alternative: false,
            zeros: false,
            width: 0,
            thousands: None,
            precision: None,
            kind: None,
        }
    }
}

impl Interpreter {
    /// `format % values`.
    pub fn percent(&mut self, format: &str, values: &Value) -> Answer<String> {
        let list: Vec<Value> = match values {
            Value::Tuple(_) => self.heap.items(values).unwrap_or_default().to_vec(),
            one => vec![one.clone()],
        };
        let mut list = list.into_iter();
        let mut used = 0;
        let mut out = String::new();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            self.heap.meter.take(1)?;
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let mut key = None;
            if letters.next_if_eq(&'(').is_some() {
                key = Some(letters.by_ref().take_while(|c| *c != ')').collect::<String>());
            }
            let mut field = Field::default();
            while let Some(flag) = letters.next_if(|c| "-+ #0".contains(*c)) {
                match flag {
                    '-' => field.align = Some('<'),
                    '0' => field.zeros = true,
                    '#' => field.alternative = true,
                    // A plus comes before a space.
                    sign => field.sign = if field.sign == Some('+') { Some('+') } else { Some(sign) },
                }
            }
            let mut number = |letters: &mut std::iter::Peekable<std::str::Chars>| -> Answer<Option<usize>> {
                if letters.next_if_eq(&'*').is_some() {
                    used += 1;
                    let value = list.next().ok_or("not enough arguments for format string")?;
                    return Ok(Some(
                        whole(&value).and_then(|n| usize::try_from(n).ok()).ok_or("* wants int")?,
                    ));
                }
                let mut digits = String::new();
                while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                if digits.is_empty() { Ok(None) } else { digits.parse().map(Some).map_err(|_| too_wide()) }
            };
            field.width = number(&mut letters)?.unwrap_or(0);
            if letters.next_if_eq(&'.').is_some() {
                field.precision = Some(number(&mut letters)?.unwrap_or(0));
            }
            while letters.next_if(|c| "hlL".contains(*c)).is_some() {}
            let kind = letters.next().ok_or("incomplete format")?;
            if kind == '%' {
                out.push('%');
                continue;
            }
            let value = match key {
                Some(key) => {
                    let key = Value::Str(key.into());
                    self.heap.lookup(values, &key)?.ok_or("format requires a mapping with the key")?
                }
                None => {
                    used += 1;
                    list.next().ok_or("not enough arguments for format string")?
                }
            };
            let text = match kind {
                's' | 'r' | 'a' => {
                    let text =
                        if kind == 's' { self.heap.string(&value)? } else { self.heap.repr(&value)?.into() };
                    let text: String = text.chars().take(field.precision.unwrap_or(usize::MAX)).collect();
                    self.filled(&text, &Field { zeros: false, ..field }, '>')?
                }
                'c' => {
                    let text = match &value {
                        Value::Str(text) if text.chars().count() == 1 => text.to_string(),
                        value => whole(value)
                            .and_then(|n| char::from_u32(u32::try_from(n).ok()?))
                            .ok_or("%c requires int or char")?
                            .to_string(),
                    };
                    self.filled(&text, &field, '>')?
                }
                'd' | 'i' | 'u' => {
                    let n = match &value {
                        Value::Float(x) if x.is_finite() => *x as i64,
                        value => whole(value).ok_or_else(|| {
                            format!("%d format: a real number is required, not {}", type_name(value))
                        })?,
                    };
                    let digits = n.unsigned_abs().to_string();
                    self.signed(&digits, n < 0, &field)?
                }
                'x' | 'X' | 'o' => {
                    let n = whole(&value).ok_or_else(|| format!("%{kind} format: an integer is required"))?;
                    let digits = in_base(n.unsigned_abs(), kind);
                    let prefix = if field.alternative { format!("0{kind}") } else { String::new() };
                    self.signed(&(prefix + &digits), n < 0, &field)?
                }
                'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                    let x = super::value::number(&value).ok_or("must be real number")?;
                    let digits = real(x.abs(), kind, field.precision.unwrap_or(6), field.alternative)?;
                    self.signed(&digits, x.is_sign_negative(), &field)?
                }
                other => return Err(format!("unsupported format character {other:?}")),
            };
            out.push_str(&text);
        }
        // A dictionary may have more than is used.
        if list.next().is_some() && !(used == 0 && matches!(values, Value::Dict(_) | Value::List(_))) {
            return Err("not all arguments converted during string formatting".into());
        }
        Ok(out)
    }

    /// Fills a text up to the width of a field.
    fn filled(&mut self, text: &str, field: &Field, align: char) -> Answer<String> {
        if field.width > WIDEST || field.precision.is_some_and(|p| p > WIDEST) {
            return Err(too_wide());
        }
        self.heap.meter.take(4 * (field.width.max(text.len()) as u64))?;
        Ok(padded(text, field.width, field.fill, field.align.unwrap_or(align)))
    }

    /// Digits with their sign, filled up to the width of a field.
    fn signed(&mut self, digits: &str, negative: bool, field: &Field) -> Answer<String> {
        let sign = match field.sign {
            _ if negative => "-",
            Some('+') => "+",
            Some(' ') => " ",
            _ => "",
        };
        if field.zeros && field.align.is_none() || field.align == Some('=') {
            let fill = if field.zeros { '0' } else { field.fill };
            let width = field.width.saturating_sub(sign.len());
            let digits =
                self.filled(digits, &Field { width, fill, align: Some('>'), ..field.clone() }, '>')?;
            return Ok(format!("{sign}{digits}"));
        }
        self.filled(&format!("{sign}{digits}"), field, '>')
    }

    /// `text.format(…)`.
    pub fn braces(&mut self, format: &str, given: &Given) -> Answer<String> {
        let mut out = String::new();
        let mut next = 0;
        self.braces_to_depth(format, given, &mut next, 2, &mut out)?;
        Ok(out)
    }

    fn braces_to_depth(
        &mut self,
        format: &str,
        given: &Given,
        next: &mut usize,
        depth: usize,
        out: &mut String,
    ) -> Answer<()> {
        let depth = depth.checked_sub(1).ok_or("Max string recursion exceeded")?;
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            self.heap.meter.take(1 + at as u64)?;
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("Single '}' encountered in format string".into());
            }
            let mut open = 1;
            let end = rest.char_indices().find(|(_, c)| {
                open += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                open == 0
            });
            let (end, _) = end.ok_or("expected '}' before end of string")?;
            let inner = &rest[..end];
            rest = &rest[end + 1..];
            let (name, spec) = inner.split_once(':').unwrap_or((inner, ""));
            let (name, conversion) = name.split_once('!').map_or((name, None), |(name, c)| (name, Some(c)));
            let mut value = self.named_value(name, given, next)?;
            if let Some(conversion) = conversion {
                value = match conversion {
                    "s" => Value::Str(self.heap.string(&value)?),
                    "r" | "a" => {
                        let text = self.heap.repr(&value)?;
                        self.heap.text(text)?
                    }
                    other => return Err(format!("Unknown conversion specifier {other:?}")),
                };
            }
            let mut filled = String::new();
            if spec.contains(['{', '}']) {
                self.braces_to_depth(spec, given, next, depth, &mut filled)?;
            } else {
                filled.push_str(spec);
            }
            let text = self.formatted(&value, &filled)?;
            self.heap.meter.take(text.len() as u64)?;
            out.push_str(&text);
        }
        self.heap.meter.take(rest.len() as u64)?;
        out.push_str(rest);
        Ok(())
    }

    /// The value that a field of `str.format` names: `0`, `name`, `name.attribute`, `name[key]`.
    fn named_value(&mut self, name: &str, given: &Given, next: &mut usize) -> Answer<Value> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut path) = name.split_at(end);
        let position = if first.is_empty() {
            *next += 1;
            Some(*next - 1)
        } else {
            first.parse::<usize>().ok()
        };
        let mut value = match position {
            Some(at) => given
                .positional
                .get(at)
                .cloned()
                .ok_or("Replacement index out of range for positional args tuple")?,
            None => {
                let named = given.named.iter().find(|(n, _)| **n == *first);
                named
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| format!("the format has no value for {first:?}"))?
            }
        };
        while !path.is_empty() {
            if let Some(after) = path.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name: Rc<str> = after[..end].into();
                value = self.attribute(&value, &name)?;
                path = &after[end..];
            } else if let Some((key, after)) = path.strip_prefix('[').and_then(|p| p.split_once(']')) {
                let key = key.parse().map_or_else(|_| Value::Str(key.into()), Value::Int);
                value = self.item(&value, &key)?;
                path = after;
            } else {
                return Err("Only '.' or '[' may follow ']' in format field specifier".into());
            }
        }
        Ok(value)
    }

    /// A value by the specification of a field of `str.format`.
    fn formatted(&mut self, value: &Value, spec: &str) -> Answer<String> {
        let field = specification(spec)?;
        if spec.is_empty() {
            return self.heap.string(value).map(|text| text.to_string());
        }
        match (value, field.kind) {
            (Value::Str(text), None | Some('s')) => {
                let text: String = text.chars().take(field.precision.unwrap_or(usize::MAX)).collect();
                self.filled(&text, &field, '<')
            }
            (Value::Int(_) | Value::Bool(_), None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b' | 'c')) => {
                let n = whole(value).unwrap_or(0);
                if field.kind == Some('c') {
                    let letter =
                        u32::try_from(n).ok().and_then(char::from_u32).ok_or("%c arg not in range")?;
                    return self.filled(&letter.to_string(), &field, '<');
                }
                let kind = field.kind.unwrap_or('d');
                let digits = match kind {
                    'x' | 'X' | 'o' | 'b' => in_base(n.unsigned_abs(), kind),
                    _ => grouped(&n.unsigned_abs().to_string(), field.thousands),
                };
                let prefix = if field.alternative && "xXob".contains(kind) {
                    format!("0{kind}")
                } else {
                    String::new()
                };
                self.signed(&(prefix + &digits), n < 0, &field)
            }
            (Value::Int(_) | Value::Bool(_) | Value::Float(_), kind) => {
                let x = number(value).unwrap_or(0.0);
                let digits = match (kind, field.precision) {
                    (Some('%'), precision) => {
                        real(x.abs() * 100.0, 'f', precision.unwrap_or(6), false)? + "%"
                    }
                    (None, None) => float(x.abs()),
                    (None, Some(precision)) => real(x.abs(), 'g', precision, false)?,
                    (Some(kind @ ('f' | 'F' | 'e' | 'E' | 'g' | 'G')), precision) => {
                        real(x.abs(), kind, precision.unwrap_or(6), field.alternative)?
                    }
                    (Some(kind), _) => {
                        return Err(format!("Unknown format code '{kind}' for object of type 'float'"));
                    }
                };
                let (before, after) =
                    digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
                let digits = grouped(before, field.thousands) + after;
                self.signed(&digits, x.is_sign_negative(), &field)
            }
            (value, kind) => match kind {
                Some(kind) => {
                    Err(format!("Unknown format code '{kind}' for object of type '{}'", type_name(value)))
                }
                None => Err(format!("unsupported format string passed to {}.__format__", type_name(value))),
            },
        }
    }
}

/// `[[fill]align][sign][#][0][width][,][.precision][type]`.
fn specification(spec: &str) -> Answer<Field> {
    let mut field = Field::default();
    let letters: Vec<char> = spec.chars().take(64).collect();
    let mut at = 0;
    let is_align = |c: Option<&char>| c.is_some_and(|c| "<>^=".contains(*c));
    if is_align(letters.get(1)) {
        (field.fill, field.align, at) = (letters[0], Some(letters[1]), 2);
    } else if is_align(letters.first()) {
        (field.align, at) = (Some(letters[0]), 1);
    }
    let mut pass = |wanted: &str| {
        let found = letters.get(at).copied().filter(|c| wanted.contains(*c));
        at += usize::from(found.is_some());
        found
    };
    field.sign = pass("+- ");
    field.alternative = pass("#").is_some();
    field.zeros = pass("0").is_some();
    let digits = |pass: &mut dyn FnMut(&str) -> Option<char>| -> Answer<Option<usize>> {
        let mut text = String::new();
        while let Some(digit) = pass("0123456789") {
            text.push(digit);
        }
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| too_wide()) }
    };
    field.width = digits(&mut pass)?.unwrap_or(0);
    field.thousands = pass(",_");
    if pass(".").is_some() {
        field.precision = digits(&mut pass)?;
    }
    field.kind = pass("sdnxXobcfFeEgG%");
    if at < letters.len() || spec.chars().count() > 64 {
        return Err("Invalid format specifier".into());
    }
    if field.width > WIDEST || field.precision.is_some_and(|p| p > WIDEST) {
        return Err(too_wide());
    }
    Ok(field)
}

fn too_wide() -> String {
    "a width or precision is too large".into()
}

/// Digits in threes.
fn grouped(digits: &str, sign: Option<char>) -> String {
    let Some(sign) = sign else { return digits.into() };
    let mut made = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            made.push(sign);
        }
        made.push(digit);
    }
    made
}

fn in_base(n: u64, kind: char) -> String {
    match kind {
        'x' => format!("{n:x}"),
        'X' => format!("{n:X}"),
        'o' => format!("{n:o}"),
        _ => format!("{n:b}"),
    }
}

/// A number that is not negative in the style of C.
fn real(x: f64, kind: char, precision: usize, keeps_zeros: bool) -> Answer<String> {
    // A double has no more digits than these.
    if precision > 1200 {
        return Err(too_wide());
    }
    let large = kind.is_ascii_uppercase();
    let text = match kind.to_ascii_lowercase() {
        _ if !x.is_finite() => if x.is_nan() { "nan" } else { "inf" }.to_string(),
        'f' => format!("{x:.precision$}"),
        'e' => exponential(x, precision),
        _ => {
            let precision = precision.max(1);
            let text = exponential(x, precision - 1);
            let exponent: i32 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
            let fixed = (-4..precision as i32).contains(&exponent);
            let digits = if fixed {
                format!("{x:.*}", (precision as i32 - 1 - exponent).max(0) as usize)
            } else {
                text
            };
            let (mantissa, tail) = digits.split_at(digits.find('e').unwrap_or(digits.len()));
            let mantissa = match mantissa.contains('.') && !keeps_zeros {
                true => mantissa.trim_end_matches('0').trim_end_matches('.'),
                false => mantissa,
            };
            format!("{mantissa}{tail}")
        }
    };
    Ok(if large { text.to_uppercase() } else { text })
}

/// `1.50e+02`.
fn exponential(x: f64, precision: usize) -> String {
    let text = format!("{x:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
