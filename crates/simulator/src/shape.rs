//! The members of a detection: 50 now, 46 and 33 in older days.

use crate::stories::Story;

/// The members of one detection of this kind, with their values' text, in the
/// order in which the service writes them.
pub(crate) fn members(story: &Story, shape: Shape) -> Vec<(&'static str, Value)> {
    let old = shape == Shape::Of2017;
    let source = if old && story.source == "Antivirus" {
        "Windows Defender ATP"
    } else {
        story.source
    };
    let when = |said: bool, text| Value::Text(if said { text } else { "" });
    let mut all = vec![
        ("AlertTime", Value::Text("{alert-time}")),
        ("ComputerDnsName", Value::Text("{dns}")),
        ("AlertTitle", Value::Text(story.title)),
        ("Category", Value::Text(story.category)),
        ("Severity", Value::Text(story.severity)),
        ("AlertId", Value::Text("{alert-id}")),
        ("Actor", Value::Text(story.actor)),
        (
            "LinkToWDATP",
            Value::Text("https://securitycenter.windows.com/alert/{alert-id}"),
        ),
        ("IocName", Value::Text(story.ioc[0])),
        ("IocValue", Value::Text(story.ioc[1])),
        ("CreatorIocName", Value::Text(story.creator[0])),
        ("CreatorIocValue", Value::Text(story.creator[1])),
        ("Sha1", when(story.hashed, "{sha1}")),
        ("FileName", Value::Text(story.file_name)),
        ("FilePath", Value::Text(story.file_path)),
        ("IpAddress", Value::Text(story.ip)),
        ("Url", Value::Text(story.url)),
        (
            if old {
                "IoaDefinitiondId"
            } else {
                "IoaDefinitionId"
            },
            Value::Text("{guid}"),
        ),
        ("UserName", Value::Text(story.user)),
        ("AlertPart", Value::Bare("{part}")),
        ("FullId", Value::Text("{alert-id}:{ioc}")),
        ("LastProcessedTimeUtc", Value::Text("{last-processed}")),
        ("ThreatCategory", Value::Text(story.threat[0])),
        (
            if old {
                "ThreatFamilyName"
            } else {
                "ThreatFamily"
            },
            Value::Text(story.threat[1]),
        ),
        ("ThreatName", Value::Text(story.threat[2])),
        ("RemediationAction", Value::Text(story.remediation)),
        ("RemediationIsSuccess", Value::flag(story.remediated)),
        ("Source", Value::Text(source)),
        ("Md5", when(story.hashed, "{md5}")),
        ("Sha256", when(story.sha256, "{sha256}")),
        ("WasExecutingWhileDetected", Value::flag(story.executing)),
    ];
    if old {
        all.extend([
            ("FileHash", when(story.hashed, "{sha1}")),
            ("IocUniqueId", Value::Text("{ioc}")),
        ]);
        return all;
    }
    let (device_tags, cloud_tags) = match shape {
        Shape::Of2018 => ("BuiltInMachineTags", "UserDefinedMachineTags"),
        _ => ("DeviceCreatedMachineTags", "CloudCreatedMachineTags"),
    };
    all.extend([
        ("UserDomain", Value::Text(story.user_domain)),
        ("LogOnUsers", Value::Text("{logged-on}")),
        ("MachineDomain", Value::Text("{domain}")),
        ("MachineName", Value::Text("{machine}")),
        ("InternalIPv4List", Value::Text("{ipv4}")),
        ("InternalIPv6List", Value::Text("{ipv6}")),
        ("FileHash", when(story.hashed, "{sha1}")),
        ("DeviceID", Value::Text("{device}")),
        ("MachineGroup", Value::Text("{group}")),
        ("Description", Value::Text(story.description)),
        (device_tags, Value::Text("{device-tags}")),
        (cloud_tags, Value::Text("{cloud-tags}")),
        ("CommandLine", Value::Text(story.command_line)),
    ]);
    if shape == Shape::Of2020 {
        let old_link =
            "https://securitycenter.windows.com/incidents/byalert?alertId={alert-id}&source=SIEM";
        let link =
            "https://security.microsoft.com/incidents/byalert?alertId={alert-id}&source=SIEM";
        all.extend([
            ("IncidentLinkToWDATP", when(story.incident, old_link)),
            ("ReportID", Value::Bare("{report}")),
            (
                "LinkToMTP",
                Value::Text("https://security.microsoft.com/alert/{alert-id}"),
            ),
            ("IncidentLinkToMTP", when(story.incident, link)),
        ]);
    }
    all.extend([
        ("ExternalId", Value::Text("{external}")),
        ("IocUniqueId", Value::Text("{ioc}")),
    ]);
    all
}

/// Which years' members a detection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// 33 members, two of them spelt as clients have met them.
    Of2017,
    /// 46 members.
    Of2018,
    /// All 50.
    Of2020,
}

/// A member's value, with slots in it.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Text(&'static str),
    Bare(&'static str),
}

impl Value {
    fn flag(value: Option<bool>) -> Self {
        Self::Bare(match value {
            None => "null",
            Some(true) => "true",
            Some(false) => "false",
        })
    }
}
