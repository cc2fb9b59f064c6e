//! The machines and their people: made once, shared by every tenant.

use crate::config::Config;
use crate::random::{Random, hash};
use crate::slot::escape;
use crate::text::hex8;

const MACHINES: u64 = 10;

/// Some have letters beyond ASCII, one an apostrophe, one a space.
const USERS: &[&str] = &[
    "a.smith",
    "j.müller",
    "zoë.o'neill",
    "svc-backup",
    "Administrator",
    "m.garcía",
    "ł.nowak",
    "k.søndergård",
    "山田.太郎",
    "p.dubois",
    "Guest User",
    "t.nguyễn",
];
const DOMAINS: &[(&str, &str)] = &[
    ("CONTOSO", "contoso.example"),
    ("FABRIKAM", "fabrikam.example"),
    ("VÄSTRA", "vastra.example"),
];
const ROLES: &[&str] = &["w10", "w11", "srv", "sql", "kiosk", "dc"];
const DEVICE_TAGS: &[&str] = &["", "", "Kiosk", "Lab"];
const CLOUD_TAGS: &[&str] = &["", "", "Finance", "VIP;Finance", "", "Prüfstand;VIP"];

/// One machine: its texts, ready to be copied into a JSON string.
pub(crate) struct Machine {
    texts: [Box<[u8]>; Self::TEXTS.len()],
    pub(crate) group: String,
    pub(crate) device_tags: &'static str,
    pub(crate) cloud_tags: &'static str,
}

impl Machine {
    /// The names of the texts, as stories use them.
    pub(crate) const TEXTS: [&'static str; 12] = [
        "dns",
        "machine",
        "domain",
        "ipv4",
        "ipv6",
        "device",
        "group",
        "device-tags",
        "cloud-tags",
        "logged-on",
        "user",
        "user-domain",
    ];

    pub(crate) fn text(&self, position: usize) -> &[u8] {
        self.texts.get(position).map_or(&[], |text| text)
    }

    fn new(config: &Config, number: u32) -> Self {
        let mut random = Random::new(hash(config.seed, MACHINES, u64::from(number)));
        let (netbios, domain) = pick(&mut random, DOMAINS).copied().unwrap_or_default();
        let name = format!("{}-{number:04}", pick(&mut random, ROLES).unwrap_or(&"pc"));
        let joined = number % 10 != 9;
        let dns = if joined {
            format!("{name}.{domain}")
        } else {
            name.clone()
        };
        let (user, other) = (
            pick(&mut random, USERS).unwrap_or(&""),
            pick(&mut random, USERS).unwrap_or(&""),
        );
        let logged_on = match number % 4 {
            0 => format!("{netbios}\\{user}; {netbios}\\{other}"),
            1 => String::new(),
            _ => format!("{netbios}\\{user}"),
        };
        let net = random.next();
        let ipv4 = format!(
            "10.{}.{}.{};127.0.0.1",
            net & 255,
            (net >> 8) & 255,
            (net >> 16) & 255
        );
        let ipv6 = format!(
            "fe80::{:04x}:{:04x}:{:04x};::1",
            net & 0xFFFF,
            (net >> 16) & 0xFFFF,
            (net >> 32) & 0xFFFF
        );
        // One machine in three has sent no addresses.
        let (ipv4, ipv6) = if number % 3 == 2 {
            Default::default()
        } else {
            (ipv4, ipv6)
        };
        let device: String = (0..5)
            .flat_map(|_| hex8((random.next() >> 32) as u32, false))
            .map(char::from)
            .collect();
        let groups = &config.machine_groups;
        let group = if number % 16 == 15 {
            None
        } else {
            groups.get(number as usize % groups.len().max(1))
        };
        let group = group.cloned().unwrap_or_default();
        let device_tags = pick(&mut random, DEVICE_TAGS).unwrap_or(&"");
        let cloud_tags = pick(&mut random, CLOUD_TAGS).unwrap_or(&"");
        let domain = if joined { domain } else { "" };
        let texts = [
            &dns,
            &name,
            domain,
            &ipv4,
            &ipv6,
            &device,
            &group,
            device_tags,
            cloud_tags,
            &logged_on,
            user,
            netbios,
        ]
        .map(|text| {
            let mut escaped = String::with_capacity(text.len());
            escape(&mut escaped, text);
            escaped.into_bytes().into()
        });
        Self {
            texts,
            group,
            device_tags,
            cloud_tags,
        }
    }
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> Option<&'a T> {
    from.get(usize::try_from(random.below(from.len() as u64)).unwrap_or(0))
}

/// The machines of one configuration.
pub(crate) fn machines(config: &Config) -> Vec<Machine> {
    (0..config.machines)
        .map(|number| Machine::new(config, number))
        .collect()
}
