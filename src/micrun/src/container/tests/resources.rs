//! Limits, their Update, and the CPUs of a pod.

use super::*;

#[test]
fn resources_change_as_a_whole_or_not_at_all() {
    let setting = Setting::new();
    setting.create("c").expect("created");
    let container = setting.sandbox.get("c").expect("there");
    let refusal = |resources: &str| {
        let error = container.update(resources.as_bytes()).expect_err(resources);
        (error.kind(), error.to_string())
    };
    let fixed = "cpu.mems, pids.limit cannot be changed for an emulated core";
    assert_eq!(
        refusal(r#"{"pids":{"limit":5},"cpu":{"cpus":"0","mems":"3"}}"#),
        (Kind::Unimplemented, fixed.to_owned())
    );
    let (invalid, sentence) = refusal(r#"{"cpu":{"cpus":"0-"}}"#);
    assert_eq!(invalid, Kind::InvalidArgument);
    assert_eq!(sentence, "cpu.cpus is \"0-\", it must be a list of cpus like 0-2,5");
    for garbage in ["", "[]", "{", "7", r#"{"cpu":{"cpus":7}}"#, r#"{"cpu":{"cpus":"1023"}}"#] {
        assert_eq!(refusal(garbage).0, Kind::InvalidArgument, "{garbage}");
    }
    let number =
        "resources are not what oci calls linux resources: invalid type: integer `7`, expected a string";
    assert_eq!(refusal(r#"{"cpu":{"cpus":7}}"#).1, number);
    container.update(b"{}").expect("nothing to do");
    // Kept for a start that the fake core, which runs on no CPU, cannot satisfy.
    container.update(br#"{"cpu":{"cpus":"0"}}"#).expect("remembered");
    assert_eq!(kind(container.start()), Kind::Unimplemented);
    assert_eq!(refusal("{}").0, Kind::FailedPrecondition);
}

#[test]
fn cpus_of_the_specification_are_checked_first() {
    let setting = Setting::new();
    let config = CONFIG.replacen('{', r#"{"linux":{"resources":{"cpu":{"cpus":"1023"}}},"#, 1);
    std::fs::write(setting.path("config.json"), config).expect("written");
    assert_eq!(kind(setting.create("c")), Kind::InvalidArgument);
}

/// Containers of a pod whose node has them share their CPUs; each with the `linux.resources` that it asks for.
struct Sharing(Setting);

impl Sharing {
    fn new() -> Sharing {
        Sharing(Setting::new())
    }

    fn create(&self, id: &str, resources: &str) {
        let linux = format!(r#"{{"linux":{{"resources":{resources}}},"#);
        std::fs::write(self.0.path("config.json"), CONFIG.replacen('{', &linux, 1)).expect("written");
        let options = RuntimeOptions { path: None, body: "resources.shared_cpu_pool = true".to_owned() };
        let bundle = self.0.bundle.path().to_owned();
        let request = Request { id: id.to_owned(), bundle, options, ..Request::default() };
        self.0.sandbox.create(request).expect("created");
    }

    fn update(&self, id: &str, resources: &str) {
        self.0.sandbox.get(id).expect("there").update(resources.as_bytes()).expect("updated");
        self.0.sandbox.share_cpus();
    }

    /// The CPUs that it runs on, and how many virtual ones it has.
    fn cpus(&self, id: &str) -> (String, u32) {
        let container = self.0.sandbox.get(id).expect("there");
        let core = container.lock().limits.as_ref().expect("a core").plan.core.clone();
        (core.cpus.map_or("any".to_owned(), |cpus| cpus.to_string()), core.vcpus)
    }
}

#[test]
fn the_containers_of_a_pod_run_on_the_cpus_of_all_if_the_node_wants_that() {
    let online = crate::pedestal::cpus::online().expect("a list");
    if online.count() < 2 || !online.iter().take(2).eq([0, 1]) {
        eprintln!("skipped: this machine has the CPUs {online}, two are needed");
        return;
    }
    let pod = Sharing::new();
    pod.create("first", r#"{"cpu":{"cpus":"0"}}"#);
    pod.create("any", "{}");
    assert_eq!((pod.cpus("first"), pod.cpus("any")), (("0".into(), 1), ("0".into(), 1)));
    pod.create("second", r#"{"cpu":{"cpus":"1"}}"#);
    for id in ["first", "any", "second"] {
        assert_eq!(pod.cpus(id), ("0-1".into(), 1), "{id}");
    }
    pod.update("second", r#"{"cpu":{"cpus":"0"}}"#);
    assert_eq!((pod.cpus("first"), pod.cpus("any")), (("0".into(), 1), ("0".into(), 1)));
    pod.update("any", r#"{"cpu":{"cpus":"0-1"}}"#);
    assert_eq!((pod.cpus("first"), pod.cpus("any")), (("0-1".into(), 1), ("0-1".into(), 2)));
    pod.0.sandbox.delete("any").expect("deleted");
    assert_eq!((pod.cpus("first"), pod.cpus("second")), (("0".into(), 1), ("0".into(), 1)));
}

#[test]
fn otherwise_each_has_its_own() {
    let setting = Setting::new();
    for (id, cpu) in [("a", 0), ("b", 1)] {
        let linux = format!(r#"{{"linux":{{"resources":{{"cpu":{{"cpus":"{cpu}"}}}}}},"#);
        std::fs::write(setting.path("config.json"), CONFIG.replacen('{', &linux, 1)).expect("written");
        if setting.create(id).is_err() {
            eprintln!("skipped: this machine has no CPU {cpu}");
            return;
        }
    }
    let container = setting.sandbox.get("a").expect("there");
    let cpus = container.lock().limits.as_ref().expect("a core").plan.core.cpus.clone();
    assert_eq!(cpus.map(|cpus| cpus.to_string()).as_deref(), Some("0"));
}
