//! The 50 documented members of a detection, in the documentation's order, from one
//! table: name here, type, name there, and what it is.

use crate::detection::{Boolean, Integer, Text, detection};

detection! {
    alert_time: Text, "AlertTime", "When the alert was raised, in UTC.";
    computer_dns_name: Text, "ComputerDnsName", "The device's full name.";
    alert_title: Text, "AlertTitle", "What was seen, in a few words.";
    category: Text, "Category", "The kind of activity, e.g. `LateralMovement`.";
    severity: Text, "Severity", "`High`, `Medium`, `Low` or `Informational`.";
    alert_id: Text, "AlertId", "The alert; many detections share one.";
    actor: Text, "Actor", "The group that the activity is ascribed to.";
    link_to_wdatp: Text, "LinkToWDATP", "The alert in the old portal.";
    ioc_name: Text, "IocName", "The name of the indicator that matched.";
    ioc_value: Text, "IocValue", "The value of the indicator that matched.";
    creator_ioc_name: Text, "CreatorIocName", "The name of the indicator that the alert was made for.";
    creator_ioc_value: Text, "CreatorIocValue", "The value of the indicator that the alert was made for.";
    sha1: Text, "Sha1", "SHA-1 of the file, in hexadecimal.";
    file_name: Text, "FileName", "The file's name.";
    file_path: Text, "FilePath", "The file's folder, with or without its name.";
    ip_address: Text, "IpAddress", "The remote address.";
    url: Text, "Url", "The URL, or a bare host.";
    ioa_definition_id: Text, "IoaDefinitionId", "The rule that fired.";
    user_name: Text, "UserName", "The user in whose name it was done.";
    alert_part: Integer, "AlertPart", "Which of the alert's indicators this detection is, from 0.";
    full_id: Text, "FullId", "AlertId and IocUniqueId: what makes this detection itself.";
    last_processed_time_utc: Text, "LastProcessedTimeUtc", "When the service last worked on it, in UTC; what the API's bounds apply to.";
    threat_category: Text, "ThreatCategory", "The malware's category.";
    threat_family: Text, "ThreatFamily", "The malware's family.";
    threat_name: Text, "ThreatName", "The malware's name.";
    remediation_action: Text, "RemediationAction", "What the antivirus did.";
    remediation_is_success: Boolean, "RemediationIsSuccess", "Whether it succeeded.";
    source: Text, "Source", "`EDR`, `Antivirus`, formerly `Windows Defender ATP`.";
    md5: Text, "Md5", "MD5 of the file, in hexadecimal.";
    sha256: Text, "Sha256", "SHA-256 of the file, in hexadecimal.";
    was_executing_while_detected: Boolean, "WasExecutingWhileDetected", "Whether the file ran at that time.";
    user_domain: Text, "UserDomain", "The user's domain.";
    log_on_users: Text, "LogOnUsers", "Who was logged on: `DOMAIN\\user`, separated by `;`.";
    machine_domain: Text, "MachineDomain", "The device's domain.";
    machine_name: Text, "MachineName", "The device's name.";
    internal_ipv4_list: Text, "InternalIPv4List", "The device's IPv4 addresses, separated by `;`.";
    internal_ipv6_list: Text, "InternalIPv6List", "The device's IPv6 addresses, separated by `;`.";
    file_hash: Text, "FileHash", "SHA-1 of the file, else SHA-256.";
    device_id: Text, "DeviceID", "The device.";
    machine_group: Text, "MachineGroup", "The device's group.";
    description: Text, "Description", "What was seen, at length; may hold line ends.";
    device_created_machine_tags: Text, "DeviceCreatedMachineTags", "The device's tag from its registry.";
    cloud_created_machine_tags: Text, "CloudCreatedMachineTags", "The device's tags from the portal.";
    command_line: Text, "CommandLine", "The process's command line.";
    incident_link_to_wdatp: Text, "IncidentLinkToWDATP", "The incident in the old portal.";
    report_id: Integer, "ReportID", "The report, e.g. 1053729833.";
    link_to_mtp: Text, "LinkToMTP", "The alert in the portal.";
    incident_link_to_mtp: Text, "IncidentLinkToMTP", "The incident in the portal.";
    external_id: Text, "ExternalId", "The alert's id in other products.";
    ioc_unique_id: Text, "IocUniqueId", "The indicator within the alert.";
}
