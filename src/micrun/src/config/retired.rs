//! Names that users of the older micrun may have written, and that set nothing here: each is answered with what replaces
//! it.

/// Names as annotations, without the prefix.
const ANNOTATIONS: [(&str, &str); 10] = [
    ("container.auto_disconnect", "it is container.auto_close_timeout now"),
    ("container.auto_disconnect_timeout", "it is container.auto_close_timeout now"),
    (
        "config_path",
        "a container does not choose the node's configuration: ConfigPath in containerd's options of the runtime does",
    ),
    (
        "runtime.max_container_cpus",
        "resources.max_vcpus of the node bounds all containers, container.max_vcpu_num this one",
    ),
    (
        "runtime.max_container_memory",
        "resources.max_memory of the node bounds all containers, memory.limit this one",
    ),
    ("runtime.pause", "the image of pods is containerd's sandbox_image"),
    ("runtime.exclusive_dom0_cpu", "resources.rtos_cpus of the node says which cpus are for rtos"),
    ("runtime.hugepage_enable", "a core's memory is not made of huge pages"),
    ("runtime.pipe_size", "a console keeps 64 KiB"),
    ("runtime.experimental", "there is nothing experimental to switch on"),
];

/// Names in INI files.
const INI: [(&str, &str); 9] = [
    ("max_client_number", "containers are limited by containerd and by cores"),
    ("enable_host_container", "linux images are always handed to containerd's own shim"),
    ("hugepage_enable", "a core's memory is not made of huge pages"),
    ("sandbox_minimum_vcpu", "a pod without containers has no core"),
    ("exclusive_dom0_cpu", "resources.rtos_cpus says which cpus are for rtos"),
    ("image_path", "PedestalConf of the image's client.conf names it"),
    ("aux_file_path", "PedestalConf of the image's client.conf names it"),
    ("state_dir", "what is known of a container lies in its bundle"),
    ("pause_image", "the image of pods is containerd's sandbox_image"),
];

/// Annotations that others read or write: no word about them.
const OTHERS: [&str; 4] = ["ped.compatibility", "ped.net_placeholder", "compatibility.", "pkg.oci."];
/// Labels of images, which some tools copy to annotations.
const LABELS: [&str; 5] = [
    "container.os_version",
    "container.client_conf_path",
    "container.firmware_machine",
    "container.firmware_crc32",
    "container.firmware_cpu",
];

pub(super) fn annotation(name: &str) -> Option<&'static str> {
    find(&ANNOTATIONS, name)
}

pub(super) fn ini(name: &str) -> Option<&'static str> {
    find(&INI, name)
}

fn find(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, answer)| *answer)
}

/// True for an annotation that is somebody else's.
pub(super) fn is_anothers(name: &str) -> bool {
    let of =
        |known: &&str| if known.ends_with(['.', '_']) { name.starts_with(*known) } else { name == *known };
    OTHERS.iter().chain(&LABELS).any(of)
}
