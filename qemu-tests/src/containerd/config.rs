//! The configuration file of a private containerd.

use std::path::Path;

use serde_json::Value;

/// What the CRI service is made of, up to 1.7 and since 2.0.
const CRI: [&str; 3] =
    ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
/// Would make `/opt/containerd`, which all instances would share.
const OPT: &str = "io.containerd.internal.v1.opt";

/// The image that stands for a pod; a test imports one of that name.
pub const PAUSE: &str = "localhost/pause:1";
/// The runtime handler whose pods have a pause container.
pub const MICRUN: &str = "micrun";
/// The runtime handler whose pods are the shim's own business (Sandbox service); since containerd 2.0.
pub const MICRUN_SANDBOX: &str = "micrun-sandbox";
/// Where the instance looks for pod networks, below its directory.
pub const NETWORKS: &str = "net.d";

/// What lets containerd unpack layers that are EROFS file systems, and others as before: as in docs/reference/image.md.
pub(super) const EROFS: &str = "\
[plugins.\"io.containerd.service.v1.diff-service\"]
default = [\"erofs\", \"walking\"]
[[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]
platform = \"linux\"
snapshotter = \"overlayfs\"
[[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]
platform = \"linux\"
snapshotter = \"erofs\"
differ = \"erofs\"
";

/// The file's content for the containerd with this `major` version in `directory`.
pub(super) fn text(major: u32, directory: &Path, cri: bool, plugins: Option<&Path>) -> String {
    let disabled: Vec<&str> = if cri { vec![OPT] } else { [OPT].into_iter().chain(CRI).collect() };
    let path = |name: &str| quoted(&directory.join(name).to_string_lossy());
    let mut text = format!(
        "version = {version}\nroot = {root}\nstate = {state}\ndisabled_plugins = [{disabled}]\n\
         [grpc]\naddress = {grpc}\n[ttrpc]\naddress = {ttrpc}\n\
         [plugins.\"io.containerd.nri.v1.nri\"]\ndisable = true\n",
        version = if major < 2 { 2 } else { 3 },
        root = path("root"),
        state = path("state"),
        disabled = disabled.into_iter().map(quoted).collect::<Vec<_>>().join(", "),
        grpc = path(super::SOCKET),
        ttrpc = path(&format!("{}.ttrpc", super::SOCKET)),
    );
    if cri {
        text.push_str(&cri_section(major, directory, plugins));
    }
    text
}

/// The CRI service with micrun as a runtime; naming one takes the default away, so runc is named as well. Without
/// `restrict_oom_score_adj` runc fails where root may not lower a score (containers, most CI machines). Network
/// namespaces are mounted below the state directory, not in a directory that all instances share.
fn cri_section(major: u32, directory: &Path, plugins: Option<&Path>) -> String {
    let plugin = if major < 2 { CRI[0] } else { CRI[2] };
    let image = match major {
        ..2 => format!("sandbox_image = \"{PAUSE}\"\n"),
        2.. => String::new(),
    };
    let mut text = format!(
        "[plugins.\"{plugin}\"]\nrestrict_oom_score_adj = true\nnetns_mounts_under_state_dir = true\n{image}\
         [plugins.\"{plugin}\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n"
    );
    text.push_str(&handler(plugin, MICRUN, ""));
    if major >= 2 {
        text.push_str(&handler(plugin, MICRUN_SANDBOX, "sandboxer = \"shim\"\n"));
        text.push_str(&format!("[plugins.\"{}\".pinned_images]\nsandbox = \"{PAUSE}\"\n", CRI[1]));
    }
    if let Some(plugins) = plugins {
        let plugins = quoted(&plugins.to_string_lossy());
        let programs =
            if major < 2 { format!("bin_dir = {plugins}") } else { format!("bin_dirs = [{plugins}]") };
        let networks = quoted(&directory.join(NETWORKS).to_string_lossy());
        text.push_str(&format!("[plugins.\"{plugin}\".cni]\n{programs}\nconf_dir = {networks}\n"));
    }
    text
}

/// A runtime handler that runs pods by micrun.
fn handler(plugin: &str, name: &str, more: &str) -> String {
    format!(
        "[plugins.\"{plugin}\".containerd.runtimes.{name}]\nruntime_type = \"io.containerd.mica.v2\"\n\
         pod_annotations = [\"org.openeuler.micrun.*\"]\ncontainer_annotations = [\"org.openeuler.micrun.*\"]\n{more}"
    )
}

/// A TOML basic string: JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_s_version_follows_the_daemon_s() {
        let directory = Path::new("/tmp/a");
        assert!(text(1, directory, false, None).starts_with("version = 2\nroot = \"/tmp/a/root\"\n"));
        assert!(text(2, directory, false, None).starts_with("version = 3\n"));
    }

    #[test]
    fn cri_is_there_only_when_asked_for() {
        let without = text(1, Path::new("/tmp/a"), false, None);
        assert!(without.contains("\"io.containerd.grpc.v1.cri\"") && !without.contains("runtimes.micrun"));
        let with = text(2, Path::new("/tmp/a"), true, None);
        assert!(with.contains("[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.micrun]"));
        assert!(with.contains("disabled_plugins = [\"io.containerd.internal.v1.opt\"]"));
    }
}
