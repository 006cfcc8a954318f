use super::*;
use crate::cli::output::Format;

fn plan(keys: u64, replicas: u64, regions: &[&str]) -> Plan {
    Plan {
        keys,
        replicas,
        regions: regions.iter().map(|one| (*one).to_owned()).collect(),
        profile: None,
        writes_per_second: 10,
        backups: 24,
    }
}

fn made(plan: &Plan) -> (Wanted, Times, Sizes) {
    let (wanted, times) = plan.wanted().unwrap();
    let sizes = Sizes::of(&wanted);
    (wanted, times, sizes)
}

#[test]
fn a_million_keys_take_what_was_measured() {
    let (_, _, sizes) = made(&plan(1_000_000, 3, &[]));
    assert!((sizes.memory_after_start - 840e6).abs() < 1.0, "{sizes:?}");
    assert!((sizes.memory_to_reserve - 1_798e6).abs() < 1.0, "{sizes:?}");
    assert!((sizes.start_seconds - 6.8).abs() < 1e-9, "{sizes:?}");
    assert!(sizes.disk_to_provide > sizes.disk_used + sizes.outbox + sizes.snapshot);
}

#[test]
fn twice_the_keys_take_twice_of_what_grows_with_them() {
    let (_, _, one) = made(&plan(500_000, 3, &[]));
    let (_, _, two) = made(&plan(1_000_000, 3, &[]));
    for (one, two) in [(one.snapshot, two.snapshot), (one.audit_now, two.audit_now), (one.backups, two.backups)] {
        assert!((two - 2.0 * one).abs() < 1.0, "{one} {two}");
    }
    assert!((one.outbox - two.outbox).abs() < 1.0, "the outbox is bounded by itself");
}

#[test]
fn three_regions_survive_the_loss_of_any() {
    let (wanted, times, sizes) = made(&plan(1_000_000, 3, &["north", "middle", "south"]));
    assert_eq!(voters(&wanted), [("north".into(), 1), ("middle".into(), 1), ("south".into(), 1)]);
    assert_eq!(times, Times::Wan, "more than one region");
    assert_eq!(warnings(&wanted, &sizes), Vec::<String>::new());
}

#[test]
fn what_would_not_survive_a_region_is_said() {
    let told = |plan: &Plan| {
        let (wanted, _, sizes) = made(plan);
        warnings(&wanted, &sizes).join("\n")
    };
    let two = told(&plan(1_000, 3, &["north", "south"]));
    assert!(two.contains("Without north there is no majority (1 of 3 voters are left)"), "{two}");
    assert!(!two.contains("Without south"), "{two}");
    assert!(told(&plan(1_000, 4, &[])).contains("4 voters survive no more losses than 3"));
    assert!(told(&plan(1_000, 1, &[])).contains("One replica"));
    assert!(told(&plan(1_000, 3, &["a", "b", "c", "d"])).contains("d gets no voter"));
    let busy = Plan { writes_per_second: 1_000, ..plan(5_000_000, 5, &[]) };
    let busy = told(&busy);
    for part in ["more than half of what was measured (1241)", "1,000,000 keys were not measured", "three replicas"] {
        assert!(busy.contains(part), "{part}: {busy}");
    }
}

#[test]
fn a_region_that_is_named_twice_or_not_at_all_is_refused() {
    for regions in [&["north", "north"][..], &["north", ""]] {
        let refused = plan(1, 3, regions).wanted().unwrap_err().to_string();
        assert!(refused.starts_with("--regions: "), "{refused}");
    }
}

#[test]
fn people_and_programs_are_told_the_same_with_each_source() {
    let (wanted, times, sizes) = made(&plan(1_000_000, 3, &["north", "middle", "south"]));
    let (text, value) = (text(&wanted, times, &sizes), value(&wanted, times, &sizes));
    assert!(text.starts_with("1,000,000 keys, 3 voting replicas (north 1, middle 1, south 1), profile wan"), "{text}");
    assert_eq!(value["replica"]["memoryToReserveBytes"], json!(1_798e6));
    assert!(text.contains("1.8 GB"), "{text}");
    for figure in figures::ALL {
        assert!(!figure.source.is_empty() && text.contains(figure.source), "{}", figure.name);
        assert!(value["figures"].as_array().unwrap().iter().any(|one| one["name"] == figure.name));
    }
    // What a program is given has to be printable in each of its forms.
    for format in [Format::Json, Format::Yaml] {
        assert!(Printer::new(format, false, None).one(&value).contains("memoryToReserveBytes"));
    }
}
