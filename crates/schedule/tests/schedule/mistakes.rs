//! Windows that cannot be.

use crate::support::window;
use latchkey_schedule::{WindowError, Windows};

#[test]
fn every_mistake_of_every_window_is_told_with_its_field() {
    let windows = [
        window("0 2 * * MON-FRI", "Europe/Zurich", 60),
        window("61 2 * * *", "Mars/Olympus", 60),
        window("0 0 30 2 *", "UTC", 60),
    ];
    let wrong = Windows::parse(&windows).unwrap_err();
    let fields: Vec<_> = wrong.iter().map(latchkey_schedule::WindowsError::field).collect();
    assert_eq!(fields, ["windows[1].cron", "windows[1].time_zone", "windows[2].cron"]);
    assert_eq!(wrong[2].error, WindowError::NeverOpens);
    assert!(wrong[1].to_string().starts_with("windows[1].time_zone must be a name of the IANA database"));
}

#[test]
fn an_expression_has_five_fields() {
    for cron in [
        "",
        "0 2 * *",
        "0 0 2 * * *",
        "0 0 2 * * * 2027",
        "@daily",
        "0 25 * * *",
        "0 2 * * 8",
        "0 2 0 * *",
        "a b c d e",
        // An item of none: it would be looked for over thousands of years.
        ", * * * *",
        "0 , * * *",
        "0 2 1, * *",
        "0 2 * ,,1 *",
        "0 2 * * ,SUN",
    ] {
        assert!(Windows::parse(&[window(cron, "UTC", 60)]).is_err(), "{cron}");
    }
    for cron in ["* * 30 2 *", "0 0 31 4,6,9,11 *", "* * * * +", "* * * * L"] {
        let wrong = Windows::parse(&[window(cron, "UTC", 60)]).unwrap_err();
        assert_eq!(wrong[0].error, WindowError::NeverOpens, "{cron}");
    }
    for cron in [
        "*/15 22-23,0-4 * * *",
        "0 2 * * SUN",
        "30 1 L * *",
        "0 3 * * MON#1",
        "0 0 29 2 *",
        "0 0 29 2 +MON",
        "\t0  2 * * *",
    ] {
        assert!(Windows::parse(&[window(cron, "UTC", 60)]).is_ok(), "{cron}");
    }
}

#[test]
fn a_leap_day_on_any_day_of_the_week_comes_true() {
    for day in ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] {
        for date in ["29 2", "31 12", "1 1"] {
            let cron = format!("0 0 {date} +{day}");
            assert!(Windows::parse(&[window(&cron, "UTC", 60)]).is_ok(), "{cron}");
        }
    }
}

#[test]
fn a_time_zone_is_written_as_the_database_writes_it() {
    for zone in
        ["", "europe/zurich", "EUROPE/ZURICH", "CEST", "+02:00", "Europe/Zurich ", "/etc/localtime", "../etc/passwd"]
    {
        assert!(Windows::parse(&[window("0 2 * * *", zone, 60)]).is_err(), "{zone}");
    }
    for zone in ["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "Etc/GMT+12"] {
        assert!(Windows::parse(&[window("0 2 * * *", zone, 60)]).is_ok(), "{zone}");
    }
}
