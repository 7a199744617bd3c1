//! Options of the runtime, as containerd's configuration has them: `runtimeoptions.v1.Options`.

use containerd_shim_protos::protobuf::CodedInputStream;
use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::config::RuntimeOptions;

/// The message's name; with or without a prefix, by the version of containerd.
pub const RUNTIME_OPTIONS: &str = "runtimeoptions.v1.Options";
/// Its fields as they stand on the wire: number and type.
const CONFIG_PATH: u32 = 2 << 3 | 2;
const CONFIG_BODY: u32 = 3 << 3 | 2;

/// Reads them. Options of another runtime are no options.
pub(super) fn options(any: Option<&Any>) -> RuntimeOptions {
    let Some(any) = any.filter(|any| !any.type_url.is_empty()) else { return RuntimeOptions::default() };
    if !any.type_url.ends_with(RUNTIME_OPTIONS) {
        log::warn!(
            "runtime options of type {:?} are ignored, this shim's are {RUNTIME_OPTIONS}",
            any.type_url
        );
        return RuntimeOptions::default();
    }
    read(&any.value).unwrap_or_else(|error| {
        log::warn!("runtime options cannot be read and are ignored: {error}");
        RuntimeOptions::default()
    })
}

/// Generated code for this one message would be larger than all of this.
fn read(message: &[u8]) -> Result<RuntimeOptions, containerd_shim_protos::protobuf::Error> {
    let mut stream = CodedInputStream::from_bytes(message);
    let mut options = RuntimeOptions::default();
    while let Some(tag) = stream.read_raw_tag_or_eof()? {
        match tag {
            CONFIG_PATH => {
                let path = stream.read_string()?;
                options.path = Some(path).filter(|path| !path.is_empty()).map(Into::into);
            }
            CONFIG_BODY => options.body = String::from_utf8_lossy(&stream.read_bytes()?).into_owned(),
            _ => skip(&mut stream, tag)?,
        }
    }
    Ok(options)
}

fn skip(stream: &mut CodedInputStream<'_>, tag: u32) -> Result<(), containerd_shim_protos::protobuf::Error> {
    match tag & 7 {
        0 => stream.read_raw_varint64().map(drop),
        1 => stream.read_fixed64().map(drop),
        5 => stream.read_fixed32().map(drop),
        // What is no length-prefixed field either fails there.
        _ => stream.read_bytes().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &[u8]) -> RuntimeOptions {
        options(Some(&Any { type_url: name.to_owned(), value: value.to_vec(), ..Any::default() }))
    }

    #[test]
    fn a_path_and_a_text_are_taken() {
        let read = of("types.containerd.io/runtimeoptions.v1.Options", b"\x0a\x01t\x12\x02/a\x1a\x03b=1");
        assert_eq!(read, RuntimeOptions { path: Some("/a".into()), body: "b=1".to_owned() });
        assert_eq!(of(RUNTIME_OPTIONS, b"\x12\x00"), RuntimeOptions::default());
        assert_eq!(options(None), RuntimeOptions::default());
    }

    #[test]
    fn what_is_something_else_says_nothing() {
        assert_eq!(of("runc.v1.Options", b"\x12\x02/a"), RuntimeOptions::default());
        for broken in [&b"\x12\xff"[..], b"\xff", b"\x13", b"\x12\x02a"] {
            assert_eq!(of(RUNTIME_OPTIONS, broken), RuntimeOptions::default(), "{broken:?}");
        }
        assert_eq!(of(RUNTIME_OPTIONS, b"\x20\x07\x12\x02/a").path, Some("/a".into()));
    }
}
