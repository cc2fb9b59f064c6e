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
    /// Whether it is about a file, so that hashes are sent.
    pub(crate) hashed: bool,
    /// Whether SHA-256 is among them.
    pub(crate) sha256: bool,
    /// Whether it belongs to an incident, so that the links to it are sent.
    pub(crate) incident: bool,
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
    hashed: true,
    sha256: false,
    incident: true,
};

const ANTIVIRUS: Story = Story {
    incident: false,
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
        sha256: true,
        category: "Execution",
        file_name: "powershell.exe",
        file_path: r"C:\Windows\System32\WindowsPowerShell\v1.0",
        description: "A suspicious activity was observed. \r\nAttackers use PowerShell to run their payload in memory without leaving a trace on the disk.",
        command_line: "powershell.exe -NoP -NonI -W Hidden -Enc {blob}",
        ..EDR
    },
    Story {
        title: "Suspicious File Activity",
        incident: false,
        category: "Malware",
        severity: "High",
        file_name: "cmdParent.exe",
        file_path: r"C:\WINDOWS\SysWOW64\boo3\qwerty",
        description: "A file with a suspicious name was started from a system folder.",
        ..EDR
    },
    Story {
        title: "Sensitive information lookup",
        incident: false,
        category: "LateralMovement",
        file_name: "reg.exe",
        file_path: r"C:\Windows\System32",
        description: "Unusual behavior of sensitive information lookup. A process searched the registry of {machine} for stored credentials.",
        command_line: "reg.exe  query HKLM /f password /t REG_SZ /s",
        ..EDR
    },
    Story {
        title: "'EICAR_Test_File' malware was prevented",
        sha256: true,
        file_name: "invoice_{word}.pdf.exe",
        file_path: r"C:\Users\{user}\Downloads",
        threat: ["Virus", "EICAR_Test_File", "Virus:DOS/EICAR_Test_File"],
        remediation: "Quarantine",
        remediated: Some(true),
        executing: Some(false),
        description: "Malware is software that performs harmful actions on affected machines.",
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
        description: "Remediation did not succeed: restart {dns} and scan it again.\r\n\r\nThe file was running when it was found.",
        ..ANTIVIRUS
    },
    Story {
        title: "Connection to a custom network indicator",
        incident: false,
        category: "CommandAndControl",
        severity: "Low",
        ioc: ["Url", "{host}"],
        creator: ["CustomerTi", "SOC feed 7"],
        file_name: "chrome.exe",
        file_path: r"C:\Program Files\Google\Chrome\Application",
        ip: "{ip}",
        url: "{host}",
        description: "An endpoint connected to a URL in your list of indicators.",
        command_line: "\"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe\" --type=utility --field-trial-handle={report}",
        ..EDR
    },
    Story {
        title: "Suspicious process injection observed",
        category: "DefenseEvasion",
        file_name: "rundll32.exe",
        file_path: r"C:\Windows\System32\rundll32.exe",
        description: "A process abnormally injected code into another process. \r\nInjection is often used to hide malicious code within a trusted process.",
        command_line: r"rundll32.exe C:\ProgramData\{word}\{word}.dat,DllRegisterServer",
        executing: Some(true),
        ..EDR
    },
    Story {
        title: "Anomalous account lookups",
        incident: false,
        category: "Discovery",
        severity: "Low",
        file_name: "net.exe",
        file_path: r"C:\Windows\System32",
        description: "An attacker might be gathering information about potential targets.",
        command_line: "net  user {user} /domain",
        ..EDR
    },
    Story {
        title: "Mimikatz credential theft tool",
        sha256: true,
        category: "CredentialAccess",
        severity: "High",
        actor: "EUROPIUM",
        ioc: ["Sha1", "{sha1}"],
        creator: ["MicrosoftTi", "{guid}"],
        file_name: "mimikatz.exe",
        file_path: r"D:\Werkzeuge\Prüfung\mimikatz.exe",
        threat: ["HackTool", "Mimikatz", "HackTool:Win32/Mimikatz.D"],
        description: "A tool that harvests passwords, hashes, smartcard PINs, and Kerberos tickets.",
        command_line: "mimikatz.exe \"privilege::debug\" \"sekurlsa::logonpasswords\" exit",
        ..EDR
    },
    Story {
        title: "Подозрительный файл",
        incident: false,
        category: "Malware",
        file_name: "счёт-фактура_{word}.scr",
        file_path: r"C:\Пользователи\{user}\Загрузки",
        description: "На компьютере {machine} обнаружен подозрительный файл.\r\nПроверьте его.",
        command_line: "\"C:\\Пользователи\\{user}\\Загрузки\\счёт-фактура_{word}.scr\" /S",
        ..EDR
    },
    Story {
        title: "不審なスケジュール タスク 🕒 が登録されました",
        incident: false,
        category: "Persistence",
        file_name: "schtasks.exe",
        file_path: r"C:\Windows\System32",
        description: "不審なスケジュール タスクが登録されました。\r\n確認してください。",
        command_line: "schtasks /create /tn \"更新{word}\" /tr C:\\Users\\Public\\{word}.exe /sc minute /mo 30 /f",
        ..EDR
    },
    Story {
        title: "Ransomware behavior detected in the file system",
        sha256: true,
        category: "Ransomware",
        severity: "High",
        actor: "MANATEE TEMPEST",
        file_name: "{word}.exe",
        file_path: r"C:\ProgramData\{word}",
        ip: "{ip}",
        description: "A large number of files was modified.\tFiles end in <.l0cked>; see \"README_{word}.txt\".",
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
        description: "It was found running or already had persistence mechanisms in place.",
        ..ANTIVIRUS
    },
    Story {
        title: "Password spraying from one address",
        incident: false,
        hashed: false,
        category: "InitialAccess",
        ip: "{ip}",
        ioc: ["IpAddress", "{ip}"],
        description: "Many sign-in attempts from one address were refused.\r\n1. {user}\r\n2. Administrator\r\n3. svc-backup",
        ..EDR
    },
    Story {
        title: "Uncommon remote service creation",
        incident: false,
        category: "LateralMovement",
        file_name: "services.exe",
        file_path: r"C:\Windows\System32",
        ip: "fe80::{word}:1",
        description: "A service was created remotely by {user}: administration (PsExec) or lateral movement.",
        command_line: r"%SystemRoot%\PSEXESVC-{word}.exe",
        ..EDR
    },
    Story {
        title: "Web shell written to a server's folder",
        sha256: true,
        category: "Persistence",
        severity: "High",
        file_name: "error_{word}.aspx",
        file_path: r"C:\inetpub\wwwroot\aspnet_client\error_{word}.aspx",
        ip: "{ip}",
        url: "http://{host}/aspnet_client/error_{word}.aspx?cmd=whoami%20/all&q=%C3%BC",
        user: "IUSR",
        user_domain: "NT AUTHORITY",
        description: "A file that runs commands was written by the web server itself.",
        command_line: "\"cmd.exe\" /c powershell -e {blob} > C:\\Windows\\Temp\\{word}.txt 2>&1",
        executing: Some(false),
        ..EDR
    },
];
