//! The INI files of the older micrun, as it documents them: `key = value` or `key: value`, sections `[Mica]`, `[Resource]`
//! and `[Xen]` or none, comments behind `#` and `;` at the start of a line, quotes around a value or none.

use firmware::setting::{Scalar, Setting};
use firmware::toml_file::LineError;

/// Reads them; the sections do not matter.
pub(super) fn parse(text: &str) -> Result<Vec<Setting>, LineError> {
    let mut settings = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with(['#', ';']) || is_section(content) {
            continue;
        }
        let Some((name, value)) = content.split_once(['=', ':']) else {
            let problem = format!("{:?} is not of the form key = value", firmware::text::excerpt(content));
            return Err(LineError { line, problem });
        };
        let (name, text) = (name.trim().to_ascii_lowercase(), unquoted(value.trim()).to_owned());
        if !text.is_empty() {
            settings.push(Setting { name, text, scalar: Scalar::Untyped, line });
        }
    }
    Ok(settings)
}

fn is_section(content: &str) -> bool {
    content.starts_with('[') && content.ends_with(']')
}

fn unquoted(value: &str) -> &str {
    let of = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    of('"').or_else(|| of('\'')).unwrap_or(value)
}
