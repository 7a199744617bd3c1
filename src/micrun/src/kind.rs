//! What a container is, told from its specification alone: `start` has to know before anything is mounted.
//!
//! | first that holds | kind |
//! |---|---|
//! | CRI says it is a pod's sandbox | infra |
//! | an annotation of its own speaks of firmware ([`annotation::OF_FIRMWARE`], Arm's `remoteproc.name`) | RTOS |
//! | there is no command, it is upstream's placeholder, or it is an ELF file by name (`/firmware.elf`) | RTOS |
//! | otherwise | Linux |

use std::collections::BTreeMap;

use firmware::{annotation, layout};

use crate::bundle::Bundle;

/// Annotations by which CRI implementations say what part of a pod a container is; the first one present decides.
const ROLES: [&str; 2] = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];
const SANDBOX: &str = "sandbox";
/// Annotations by which they name the pod's sandbox.
const PODS: [&str; 2] = ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];
/// Ending of firmware files, as image builders name them.
const FIRMWARE_SUFFIX: &str = ".elf";

/// What is to be done with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Firmware for a core.
    Rtos,
    /// The container that only stands for a pod. Its image is never looked at.
    Infra,
    /// Programs for Linux: another runtime's business.
    Linux,
}

impl Kind {
    /// The kind of the container in `bundle`.
    pub fn of(bundle: &Bundle) -> Kind {
        let role = ROLES.iter().find_map(|key| bundle.annotations.get(*key));
        if role.is_some_and(|role| role == SANDBOX) {
            Kind::Infra
        } else if speaks_of_firmware(bundle) || names_firmware(&bundle.args) {
            Kind::Rtos
        } else {
            Kind::Linux
        }
    }
}

/// The id of the sandbox of the pod that a container with these annotations is in.
pub fn pod_of(annotations: &BTreeMap<String, String>) -> Option<&str> {
    PODS.iter().find_map(|key| annotations.get(*key)).map(String::as_str)
}

fn speaks_of_firmware(bundle: &Bundle) -> bool {
    let speaks = |key: &String| {
        key == annotation::REMOTEPROC || annotation::OF_FIRMWARE.iter().any(|prefix| key.starts_with(prefix))
    };
    bundle.annotations.keys().any(speaks)
}

fn names_firmware(args: &[String]) -> bool {
    let Some(program) = args.first() else { return true };
    program == layout::PLACEHOLDER || program.ends_with(FIRMWARE_SUFFIX)
}

/// The firmware's path, if the container's command is one, as it is in images of Arm's remoteproc runtime.
pub fn firmware_of(bundle: &Bundle) -> Option<&str> {
    bundle.args.first().map(String::as_str).filter(|program| program.ends_with(FIRMWARE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(config: &str) -> Kind {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("config.json"), config).expect("written");
        Kind::of(&Bundle::open(dir.path()).expect("a bundle"))
    }

    #[test]
    fn an_image_of_firmware_needs_no_annotation() {
        assert_eq!(kind(r#"{"process":{"args":["/firmware.elf"]}}"#), Kind::Rtos);
        assert_eq!(kind(r#"{"process":{"args":["/micrun-placeholder"]}}"#), Kind::Rtos);
        assert_eq!(kind("{}"), Kind::Rtos);
    }

    #[test]
    fn an_annotation_of_its_own_makes_it_firmware() {
        for key in
            ["org.openeuler.micrun.ped.pedestal", "org.openeuler.micran.container.os", "remoteproc.name"]
        {
            let config = format!(r#"{{"process":{{"args":["/app"]}},"annotations":{{"{key}":"x"}}}}"#);
            assert_eq!(kind(&config), Kind::Rtos, "{key}");
        }
    }

    #[test]
    fn a_sidecar_of_an_annotated_pod_is_linux() {
        let config = r#"{"process":{"args":["/bin/sh"]},"annotations":{
            "io.kubernetes.cri.container-type":"container","org.openeuler.micrun.runtime.debug":"true"}}"#;
        assert_eq!(kind(config), Kind::Linux);
    }

    #[test]
    fn the_sandbox_is_infra_whatever_its_annotations_say() {
        let config = r#"{"process":{"args":["/pause"]},"annotations":{
            "io.kubernetes.cri.container-type":"sandbox","org.openeuler.micrun.ped.pedestal":"qemu"}}"#;
        assert_eq!(kind(config), Kind::Infra);
    }
}
