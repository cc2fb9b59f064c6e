//! The detection as a native program would type it: the 50 documented members, and
//! whatever else comes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One detection. A missing member and a null one are the same.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(
    missing_docs,
    reason = "the names are the service's; it documents them"
)]
pub struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer_dns_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(rename = "LinkToWDATP", skip_serializing_if = "Option::is_none")]
    pub link_to_wdatp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ioc_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ioc_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_ioc_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_ioc_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ioa_definition_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_part: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_processed_time_utc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat_category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat_family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation_action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation_is_success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_executing_while_detected: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_on_users: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_name: Option<String>,
    #[serde(rename = "InternalIPv4List", skip_serializing_if = "Option::is_none")]
    pub internal_ipv4_list: Option<String>,
    #[serde(rename = "InternalIPv6List", skip_serializing_if = "Option::is_none")]
    pub internal_ipv6_list: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_hash: Option<String>,
    #[serde(rename = "DeviceID", skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_created_machine_tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_created_machine_tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    #[serde(
        rename = "IncidentLinkToWDATP",
        skip_serializing_if = "Option::is_none"
    )]
    pub incident_link_to_wdatp: Option<String>,
    #[serde(rename = "ReportID", skip_serializing_if = "Option::is_none")]
    pub report_id: Option<i64>,
    #[serde(rename = "LinkToMTP", skip_serializing_if = "Option::is_none")]
    pub link_to_mtp: Option<String>,
    #[serde(rename = "IncidentLinkToMTP", skip_serializing_if = "Option::is_none")]
    pub incident_link_to_mtp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ioc_unique_id: Option<String>,
    /// Members that are not documented.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
