//! What goes over the binary's own standard streams, in protobuf: the parameters of `start`, the answer to `-info`.

use containerd_shim_protos::bootstrap_api::BootstrapParams;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use log::LevelFilter;

use super::convert::encoded;

/// What the caller of `start` says beyond its flags. Whatever it does not say is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bootstrap {
    /// How much to log.
    pub level: Option<LevelFilter>,
    /// containerd's event endpoint: a path.
    pub events: String,
    /// containerd's main socket: a path.
    pub address: String,
    /// The directory for the shim's socket.
    pub socket_dir: String,
    /// Type names of the runtime options and other messages.
    pub options: Vec<String>,
}

impl Bootstrap {
    /// Understands the standard input of `start` for the container `id`.
    ///
    /// containerd up to 2.2 sends nothing or an `Any` with runtime options, later ones `BootstrapParams`. An `Any` can
    /// be read as `BootstrapParams` too, so these must name the container, its namespace and a socket of containerd.
    /// Bytes that are neither say nothing.
    pub fn parse(bytes: &[u8], id: &str, namespace: &str) -> Bootstrap {
        let params = BootstrapParams::parse_from_bytes(bytes).unwrap_or_default();
        let has_socket =
            !params.containerd_ttrpc_address.is_empty() || !params.containerd_grpc_address.is_empty();
        if params.instance_id == id && params.namespace == namespace && has_socket {
            return Bootstrap::from_params(params);
        }
        let options = Any::parse_from_bytes(bytes).unwrap_or_default();
        Bootstrap { options: names([options]), ..Bootstrap::default() }
    }

    fn from_params(params: BootstrapParams) -> Bootstrap {
        Bootstrap {
            level: Some(level(params.log_level.value())),
            events: path(&params.containerd_ttrpc_address),
            address: path(&params.containerd_grpc_address),
            socket_dir: params.socket_dir.unwrap_or_default(),
            options: names(params.extensions.into_iter().flat_map(|extension| extension.value.into_option())),
        }
    }
}

/// The types of those messages that have one.
fn names(messages: impl IntoIterator<Item = Any>) -> Vec<String> {
    messages.into_iter().map(|any| any.type_url).filter(|name| !name.is_empty()).collect()
}

/// An address of containerd without its scheme, as it stands in flags and environment.
fn path(address: &str) -> String {
    address.strip_prefix("unix://").unwrap_or(address).to_owned()
}

/// `LogLevel`: 0 is info, -4 debug, -8 trace, 4 warn, 8 error, worse above. A number in between is what it reaches.
fn level(number: i32) -> LevelFilter {
    match number {
        ..=-8 => LevelFilter::Trace,
        -7..=-4 => LevelFilter::Debug,
        -3..=3 => LevelFilter::Info,
        4..=7 => LevelFilter::Warn,
        8.. => LevelFilter::Error,
    }
}

/// The answer to `-info`.
pub fn runtime_info(name: &str, version: &str, revision: &str) -> Vec<u8> {
    let version = RuntimeVersion {
        version: version.to_owned(),
        revision: revision.to_owned(),
        ..RuntimeVersion::default()
    };
    let name = name.to_owned();
    let info = RuntimeInfo { name, version: MessageField::some(version), ..RuntimeInfo::default() };
    encoded(&info)
}

#[cfg(test)]
mod tests {
    use containerd_shim_protos::bootstrap_api::Extension;
    use containerd_shim_protos::protobuf::EnumOrUnknown;

    use super::*;

    fn params() -> BootstrapParams {
        BootstrapParams {
            instance_id: "c1".to_owned(),
            namespace: "default".to_owned(),
            log_level: EnumOrUnknown::from_i32(-4),
            containerd_ttrpc_address: "unix:///run/c.sock.ttrpc".to_owned(),
            containerd_grpc_address: "/run/c.sock".to_owned(),
            socket_dir: Some("/run/s".to_owned()),
            ..BootstrapParams::default()
        }
    }

    fn options() -> Any {
        Any { type_url: "runtimeoptions.v1.Options".to_owned(), value: vec![1, 2, 3], ..Any::default() }
    }

    fn parse(message: &impl Message) -> Bootstrap {
        Bootstrap::parse(&message.write_to_bytes().expect("encodable"), "c1", "default")
    }

    #[test]
    fn parameters_of_containerd_2_3_are_taken() {
        let extension = Extension { value: MessageField::some(options()), ..Extension::default() };
        let said = parse(&BootstrapParams { extensions: vec![extension, Extension::default()], ..params() });
        let expected = Bootstrap {
            level: Some(LevelFilter::Debug),
            events: "/run/c.sock.ttrpc".to_owned(),
            address: "/run/c.sock".to_owned(),
            socket_dir: "/run/s".to_owned(),
            options: vec!["runtimeoptions.v1.Options".to_owned()],
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn parameters_for_somebody_else_are_not() {
        let other = BootstrapParams { instance_id: "c2".to_owned(), ..params() };
        assert_eq!(parse(&other).socket_dir, "");
        let other = BootstrapParams { namespace: "k8s.io".to_owned(), ..params() };
        assert_eq!(parse(&other).socket_dir, "");
        let (ttrpc, grpc) = (String::new(), String::new());
        let nobody =
            BootstrapParams { containerd_ttrpc_address: ttrpc, containerd_grpc_address: grpc, ..params() };
        assert_eq!(parse(&nobody).level, None);
    }

    #[test]
    fn runtime_options_are_only_named() {
        let named = Bootstrap { options: vec![options().type_url], ..Bootstrap::default() };
        assert_eq!(parse(&options()), named);
        // As a message this one names the container and its namespace.
        let any = Any { type_url: "c1".to_owned(), value: b"default".to_vec(), ..Any::default() };
        assert_eq!(parse(&any), Bootstrap { options: vec!["c1".to_owned()], ..Bootstrap::default() });
    }

    #[test]
    fn garbage_says_nothing() {
        for bytes in [&b""[..], b"\xff\xff\xff\xff", b"{\"instance_id\":\"c1\"}", &[7; 5000], &[0x0b; 5000]] {
            assert_eq!(Bootstrap::parse(bytes, "c1", "default"), Bootstrap::default(), "{bytes:?}");
        }
        let whole = params().write_to_bytes().expect("encodable");
        for cut in 0..whole.len() {
            Bootstrap::parse(&whole[..cut], "c1", "default");
        }
    }

    #[test]
    fn unknown_levels_are_the_nearest_known() {
        let levels = [-100, -8, -5, -4, -1, 0, 3, 4, 7, 8, 12, 100].map(|number| level(number).to_string());
        let expected = [
            "TRACE", "TRACE", "DEBUG", "DEBUG", "INFO", "INFO", "INFO", "WARN", "WARN", "ERROR", "ERROR",
            "ERROR",
        ];
        assert_eq!(levels, expected);
    }
}
