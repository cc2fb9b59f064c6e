//! What is detected: sixteen kinds of detection, written by hand.
//!
//! A story is the text that is the same for each detection of its kind. Words in
//! braces are slots (see [`slot`](crate::slot)), filled from the detection's
//! machine, user and hashes. An empty text is a member that is sent empty.

/// One kind of detection.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    pub(crate) title: &'static str,
    pub(crate) category: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) source: &'static str,
    pub(crate) actor: &'static str,
    /// IocName and IocValue.
    pub(crate) ioc: [&'static str; 2],
    /// CreatorIocName and CreatorIocValue.
    pub(crate) creator: [&'static str; 2],
    pub(crate) file_name: &'static str,
    pub(crate) file_path: &'static str,
    pub(crate) ip: &'static str,
    pub(crate) url: &'static str,
    pub(crate) user: &'static str,
    pub(crate) user_domain: &'static str,
    /// ThreatCategory, ThreatFamily, ThreatName.
    pub(crate) threat: [&'static str; 3],
    pub(crate) remediation: &'static str,
    pub(crate) remediated: Option<bool>,
    pub(crate) executing: Option<bool>,
    pub(crate) description: &'static str,
    pub(crate) command_line: &'static str,
    pub(crate) sha256: &'static str,
}

const EDR: Story = Story {
    title: "",
    category: "",
    severity: "Medium",
    source: "EDR",
    actor: "",
    ioc: ["", ""],
    creator: ["", ""],
    file_name: "",
    file_path: "",
    ip: "",
    url: "",
    user: "{user}",
    user_domain: "{user-domain}",
    threat: ["", "", ""],
    remediation: "",
    remediated: None,
    executing: None,
    description: "",
    command_line: "",
    sha256: "{sha256}",
};

const ANTIVIRUS: Story = Story {
    source: "Antivirus",
    severity: "Informational",
    category: "Malware",
    user: "",
    user_domain: "",
    ..EDR
};

/// All kinds; each is as likely as the others.
pub(crate) const STORIES: &[Story] = &[
    Story {
        title: "Suspicious PowerShell command line",
        category: "Execution",
        file_name: "powershell.exe",
        file_path: r"C:\Windows\System32\WindowsPowerShell\v1.0",
        description: "A suspicious PowerShell activity was observed on the machine. \r\nThis behavior may indicate that PowerShell was used during installation, exploration, or in some cases in lateral movement activities which are used by attackers to invoke modules, download external payloads, or get more information about the system. \r\nAttackers usually use PowerShell to bypass security protection mechanisms by executing their payload in memory without touching the disk and leaving any trace.",
        command_line: "powershell.exe -NoProfile -NonInteractive -WindowStyle Hidden -ExecutionPolicy Bypass -EncodedCommand {blob}{blob}",
        ..EDR
    },
    Story {
        title: "Suspicious File Activity",
        category: "Malware",
        severity: "High",
        file_name: "cmdParent.exe",
        file_path: r"C:\WINDOWS\SysWOW64\boo3\qwerty",
        description: "A file with a suspicious name was written to a system folder and started from there.",
        ..EDR
    },
    Story {
        title: "Sensitive information lookup",
        category: "LateralMovement",
        file_name: "reg.exe",
        file_path: r"C:\Windows\System32",
        description: "Unusual behavior of sensitive information lookup. A process searched the registry of {machine} for stored credentials.",
        command_line: "reg.exe  query HKLM /f password /t REG_SZ /s",
        ..EDR
    },
    Story {
        title: "'EICAR_Test_File' malware was prevented",
        file_name: "invoice_{word}.pdf.exe",
        file_path: r"C:\Users\{user}\Downloads",
        threat: ["Virus", "EICAR_Test_File", "Virus:DOS/EICAR_Test_File"],
        remediation: "Quarantine",
        remediated: Some(true),
        executing: Some(false),
        description: "Malware and unwanted software are undesirable applications that perform annoying, disruptive, or harmful actions on affected machines. Some of these undesirable applications can replicate and spread from one machine to another. Others are able to receive commands from remote attackers and perform activities associated with cyber attacks.",
        ..ANTIVIRUS
    },
    Story {
        title: "'Emotet' malware was detected",
        severity: "High",
        file_name: "{word}.dll",
        file_path: r"C:\Users\{user}\AppData\Local\Temp\{word}.dll",
        threat: ["Trojan", "Emotet", "Trojan:Win32/Emotet!mclg"],
        remediation: "Quarantine",
        remediated: Some(false),
        executing: Some(true),
        url: "https://{host}/wp-content/plugins/{word}/?id={word}&x=\"1\"",
        description: "This family of malware steals banking credentials and downloads further payloads. Remediation did not succeed: restart {dns} and scan it again.\r\n\r\nThe file was running when it was found.",
        ..ANTIVIRUS
    },
    Story {
        title: "Connection to a custom network indicator",
        category: "CommandAndControl",
        severity: "Low",
        ioc: ["Url", "{host}"],
        creator: ["CustomerTi", "SOC feed 7"],
        file_name: "chrome.exe",
        file_path: r"C:\Program Files\Google\Chrome\Application",
        ip: "{ip}",
        url: "{host}",
        description: "An endpoint has connected to a URL or domain in your list of custom indicators.",
        command_line: "\"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe\" --type=utility --utility-sub-type=network.mojom.NetworkService --lang=en-US --service-sandbox-type=none --field-trial-handle={report}",
        ..EDR
    },
    Story {
        title: "Suspicious process injection observed",
        category: "DefenseEvasion",
        file_name: "rundll32.exe",
        file_path: r"C:\Windows\System32\rundll32.exe",
        description: "A process abnormally injected code into another process, As a result, unexpected code may be running in the target process memory. Injection is often used to hide malicious code execution within a trusted process. \r\nAs a result, the target process may exhibit abnormal behaviors such as opening a listening port or connecting to a command and control server.",
        command_line: r"rundll32.exe C:\ProgramData\{word}\{word}.dat,DllRegisterServer",
        executing: Some(true),
        ..EDR
    },
    Story {
        title: "Anomalous account lookups",
        category: "Discovery",
        severity: "Low",
        file_name: "net.exe",
        file_path: r"C:\Windows\System32",
        description: "An anomalous chain of attempts to look up user account information has occurred. An attacker might be gathering information about potential targets.",
        command_line: "net  user {user} /domain",
        ..EDR
    },
    Story {
        title: "Mimikatz credential theft tool",
        category: "CredentialAccess",
        severity: "High",
        actor: "EUROPIUM",
        ioc: ["Sha1", "{sha1}"],
        creator: ["MicrosoftTi", "{guid}"],
        file_name: "mimikatz.exe",
        file_path: r"D:\Werkzeuge\Prüfung\mimikatz.exe",
        threat: ["HackTool", "Mimikatz", "HackTool:Win32/Mimikatz.D"],
        description: "The Mimikatz hacktool was detected on this machine. Mimikatz is a credential theft tool that can harvest plaintext passwords, password hashes, smartcard PINs, and Kerberos tickets. An attacker might be trying to harvest credentials to log into this or other machines on the network, by impersonating a valid user.",
        command_line: "mimikatz.exe \"privilege::debug\" \"sekurlsa::logonpasswords\" exit",
        ..EDR
    },
    Story {
        title: "Подозрительный файл: вредоносная программа была обнаружена",
        category: "Malware",
        file_name: "счёт-фактура_{word}.scr",
        file_path: r"C:\Пользователи\{user}\Загрузки",
        description: "На компьютере {machine} обнаружен подозрительный файл. \r\nРекомендуется изолировать устройство и проверить его.",
        command_line: "\"C:\\Пользователи\\{user}\\Загрузки\\счёт-фактура_{word}.scr\" /S",
        ..EDR
    },
    Story {
        title: "不審なスケジュール タスク 🕒 が登録されました",
        category: "Persistence",
        file_name: "schtasks.exe",
        file_path: r"C:\Windows\System32",
        description: "不審なスケジュール タスクが登録されました。\r\n攻撃者は、再起動後も活動を続けるためにタスクを利用することがあります。",
        command_line: "schtasks /create /tn \"更新{word}\" /tr C:\\Users\\Public\\{word}.exe /sc minute /mo 30 /f",
        ..EDR
    },
    Story {
        title: "Ransomware behavior detected in the file system",
        category: "Ransomware",
        severity: "High",
        actor: "MANATEE TEMPEST",
        file_name: "{word}.exe",
        file_path: r"C:\ProgramData\{word}",
        ip: "{ip}",
        description: "Suspicious behavior involving the creation, modification, or deletion of a large number of files was detected. This behavior is generally associated with ransomware.\tFiles end in <.l0cked>; a note named \"README_{word}.txt\" was left in each folder.",
        command_line: r"C:\ProgramData\{word}\{word}.exe -p C:\ -m local -n 100",
        executing: Some(true),
        ..EDR
    },
    Story {
        title: "An active 'Wacatac' malware was blocked",
        severity: "Low",
        file_name: "setup_{word}.msi",
        file_path: "\\\\fileserver\\öffentlich\\Software",
        threat: ["Trojan", "Wacatac", "Trojan:Script/Wacatac.B!ml"],
        remediation: "Remove",
        remediated: Some(true),
        executing: Some(true),
        description: "A malware is considered active if it is found running on the machine or it already has persistence mechanisms in place. Active malware detections are assigned higher severity ratings.",
        sha256: "",
        ..ANTIVIRUS
    },
    Story {
        title: "Password spraying from one address",
        category: "InitialAccess",
        ip: "{ip}",
        ioc: ["IpAddress", "{ip}"],
        description: "Many sign-in attempts with few passwords came from one address and were refused.\r\n1. {user}\r\n2. Administrator\r\n3. svc-backup",
        sha256: "",
        ..EDR
    },
    Story {
        title: "Uncommon remote service creation",
        category: "LateralMovement",
        file_name: "services.exe",
        file_path: r"C:\Windows\System32",
        ip: "fe80::{word}:1",
        description: "A service was created remotely by {user} from a machine that had not done so before. This may be an administrator's work (PsExec) or lateral movement.",
        command_line: r"%SystemRoot%\PSEXESVC-{word}.exe",
        ..EDR
    },
    Story {
        title: "Web shell written to a server's folder",
        category: "Persistence",
        severity: "High",
        file_name: "error_{word}.aspx",
        file_path: r"C:\inetpub\wwwroot\aspnet_client\error_{word}.aspx",
        ip: "{ip}",
        url: "http://{host}/aspnet_client/error_{word}.aspx?cmd=whoami%20/all&q=%C3%BC",
        user: "IUSR",
        user_domain: "NT AUTHORITY",
        description: "A file that runs commands from the web was written by the web server's own process. Its size was 1.5 KB.",
        command_line: "\"cmd.exe\" /c powershell -e {blob} > C:\\Windows\\Temp\\{word}.txt 2>&1",
        executing: Some(false),
        ..EDR
    },
];

/// The members of one detection of this kind, with their values' text, in the
/// order in which the service writes them.
pub(crate) fn members(story: &Story, shape: Shape) -> Vec<(&'static str, Value)> {
    let old = shape == Shape::Of2017;
    let source = if old && story.source == "Antivirus" {
        "Windows Defender ATP"
    } else {
        story.source
    };
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
        ("Sha1", Value::Text("{sha1}")),
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
        ("Md5", Value::Text("{md5}")),
        ("Sha256", Value::Text(story.sha256)),
        ("WasExecutingWhileDetected", Value::flag(story.executing)),
    ];
    if old {
        all.extend([
            ("FileHash", Value::Text("{sha1}")),
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
        ("FileHash", Value::Text("{sha1}")),
        ("DeviceID", Value::Text("{device}")),
        ("MachineGroup", Value::Text("{group}")),
        ("Description", Value::Text(story.description)),
        (device_tags, Value::Text("{device-tags}")),
        (cloud_tags, Value::Text("{cloud-tags}")),
        ("CommandLine", Value::Text(story.command_line)),
    ]);
    if shape == Shape::Of2020 {
        let incident =
            "https://security.microsoft.com/incidents/byalert?alertId={alert-id}&source=SIEM";
        all.extend([
            ("IncidentLinkToWDATP", Value::Text("https://securitycenter.windows.com/incidents/byalert?alertId={alert-id}&source=SIEM")),
            ("ReportID", Value::Bare("{report}")),
            ("LinkToMTP", Value::Text("https://security.microsoft.com/alert/{alert-id}")),
            ("IncidentLinkToMTP", Value::Text(incident)),
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
