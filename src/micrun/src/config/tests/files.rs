//! Where files of the node are looked for, and which one counts.

use std::fs;

use super::*;

#[test]
fn files_of_the_node_are_found_in_their_order() {
    let node = Node::new();
    node.write("micrun.conf", "max_container_vcpu = 1\ncontainer_maxmem = 1\n");
    let vcpus = |config: Result<Config, ConfigError>| config.expect("usable").policy().node_max_vcpus;
    assert_eq!(vcpus(node.read()), 1);
    node.write("conf.d/b.conf", "max_container_vcpu = 3\n")
        .write("conf.d/a.toml", "[Resource]\nmax_container_vcpu = 2\n");
    node.write("conf.d/c.bak", "max_container_vcpu = 9\n");
    assert_eq!(vcpus(node.read()), 3);
    assert_eq!(node.read().expect("usable").policy().node_max_memory, None);
    node.write("config.toml", "resources.max_vcpus = 4\n");
    assert_eq!(vcpus(node.read()), 4);
    node.write("alone.toml", "Resource.max_container_vcpu = 5\n")
        .write("other.ini", "max_container_vcpu = 6\n");
    let none = RuntimeOptions::default();
    assert_eq!(vcpus(node.read_with(&none, Some("alone.toml"))), 5);
    let options = RuntimeOptions { path: Some(node.path("other.ini")), body: String::new() };
    assert_eq!(vcpus(node.read_with(&options, Some("alone.toml"))), 6);
    let options = RuntimeOptions { path: None, body: "resources.max_vcpus = 7".to_owned() };
    assert_eq!(vcpus(node.read_with(&options, None)), 7);
    let broken = RuntimeOptions { path: None, body: "x".to_owned() };
    let error = node.read_with(&broken, None).expect_err("no toml").to_string();
    assert!(error.starts_with("containerd's options of the runtime: line 1: not valid toml"), "{error}");
}

#[test]
fn a_file_that_is_asked_for_and_not_there_is_an_error() {
    let node = Node::new();
    assert!(node.read().expect("nothing is asked for").warnings.is_empty());
    let error =
        node.read_with(&RuntimeOptions::default(), Some("none.toml")).expect_err("missing").to_string();
    assert!(error.contains("/none.toml: "), "{error}");
    node.write("config.toml", &"#\n".repeat(64 << 10));
    assert!(node.read().is_err());
    fs::write(node.path("config.toml"), b"\xff\xfe").expect("written");
    assert!(node.read().expect_err("no text").to_string().ends_with("/config.toml: it is not utf-8"));
}
