//! Every detection there is, none of them held.
//!
//! A catalog is a seed, a timeline and a few hundred prepared texts. Detection
//! `i` is computed when it is asked for; so a million cost no more memory than
//! one, and a test can compute what the service must have served.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::error::Error;
use crate::random::{Random, Share, hash, hash_text, mix};
use crate::shape::{Shape, members};
use crate::slot::{Filling, Template};
use crate::stories::STORIES;
use crate::text::{self, DOTNET_1970, SECOND, digits, push_number};
use crate::timeline::Timeline;
use crate::world::{Machine, machines};

const ALERT: u64 = 20;
const UNIQUE: u64 = 21;
const FILE: u64 = 22;
const RULE: u64 = 23;
const SHAPE: u64 = 24;
const PATTERN: u64 = 25;

/// How eight neighbouring detections share alerts: the place in the eight of
/// each one's alert's first detection.
const ALERTS_OF_EIGHT: [[u8; 8]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7],
    [0, 1, 2, 3, 4, 5, 6, 7],
    [0, 0, 2, 3, 4, 5, 6, 7],
    [0, 1, 2, 2, 2, 5, 6, 7],
    [0, 1, 2, 3, 4, 4, 6, 7],
    [0, 1, 2, 3, 4, 5, 6, 6],
    [0, 0, 0, 0, 4, 5, 5, 7],
    [0, 0, 0, 0, 0, 0, 0, 0],
];

/// Every detection of one service, or of one tenant of it.
#[derive(Clone)]
pub struct Catalog {
    seed: u64,
    timeline: Timeline,
    shared: Arc<Shared>,
}

/// What the tenants share: a few hundred kilobytes.
struct Shared {
    machines: Vec<Machine>,
    /// For each story its six templates; see `template`.
    templates: Vec<[Template; 6]>,
    of_2017: Share,
    older: Share,
    nulls: Share,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// One detection, written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Its place in the catalog; later ones are never older.
    pub index: u64,
    /// Its `FullId`, distinct from every other's.
    pub full_id: String,
    /// Its `LastProcessedTimeUtc`.
    pub last_processed: DateTime<Utc>,
    /// When the service first shows it: then, or later if it is a late arrival.
    pub visible_at: DateTime<Utc>,
    /// Its JSON, exactly as served.
    pub json: String,
}

/// Which detections a query asks for, beside their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Device groups; none means all.
    pub machine_groups: Vec<String>,
    /// A tag from the device.
    pub device_tag: Option<String>,
    /// A tag from the portal.
    pub cloud_tag: Option<String>,
}

impl Filter {
    fn admits(&self, machine: &Machine) -> bool {
        let has = |tags: &str, tag: &Option<String>| {
            tag.as_ref()
                .is_none_or(|tag| tags.split(';').any(|one| one == tag))
        };
        (self.machine_groups.is_empty() || self.machine_groups.contains(&machine.group))
            && has(machine.device_tags, &self.device_tag)
            && has(machine.cloud_tags, &self.cloud_tag)
    }
}

impl Catalog {
    /// The catalog of a configuration. `now` is what an open start or end is
    /// counted from; with both given it does not matter.
    ///
    /// # Errors
    /// [`Error::Config`] for a rate, share or range that cannot be.
    pub fn new(config: &Config, now: DateTime<Utc>) -> Result<Self, Error> {
        if config.machines == 0 {
            return Err(Error::config("machines", "must be at least 1"));
        }
        let shapes = &config.shapes;
        for share in [
            shapes.of_2017,
            shapes.of_2018,
            shapes.nulls,
            shapes.of_2017 + shapes.of_2018,
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::config(
                    "shapes",
                    "each share, and the two years together, must be from 0 to 1",
                ));
            }
        }
        let templates = STORIES.iter().map(|story| {
            [Shape::Of2020, Shape::Of2018, Shape::Of2017].map(|shape| members(story, shape))
        });
        let templates = templates.map(|shapes| {
            let [a, b, c] = &shapes;
            [
                (a, false),
                (a, true),
                (b, false),
                (b, true),
                (c, false),
                (c, true),
            ]
            .map(|(shape, nulls)| Template::compile(shape, nulls))
        });
        let shared = Shared {
            machines: machines(config),
            templates: templates.collect(),
            of_2017: Share::new(shapes.of_2017),
            older: Share::new(shapes.of_2017 + shapes.of_2018),
            nulls: Share::new(shapes.nulls),
        };
        Ok(Self {
            seed: config.seed,
            timeline: Timeline::new(config, now)?,
            shared: Arc::new(shared),
        })
    }

    /// The same times of day, machines and stories, but other detections.
    pub(crate) fn for_tenant(&self, tenant: &str) -> Self {
        let seed = hash_text(self.seed, &tenant.to_ascii_lowercase());
        Self {
            seed,
            timeline: self.timeline.with_seed(seed),
            shared: Arc::clone(&self.shared),
        }
    }

    /// How many detections there will ever be; without a total or an end, up to
    /// the year 9999.
    pub fn count(&self) -> u64 {
        self.timeline.count()
    }

    /// The indices of the detections whose `LastProcessedTimeUtc` lies from
    /// `since` to `until`, both included, visible yet or not.
    pub fn range(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> Range<u64> {
        self.ticks_range(text::ticks(since), text::ticks(until))
    }

    pub(crate) fn ticks_range(&self, since: i64, until: i64) -> Range<u64> {
        self.timeline.range(since, until)
    }

    /// A detection's `LastProcessedTimeUtc`.
    pub fn last_processed(&self, index: u64) -> DateTime<Utc> {
        text::instant(self.timeline.time(index))
    }

    /// When a detection is first shown.
    pub fn visible_at(&self, index: u64) -> DateTime<Utc> {
        text::instant(self.timeline.visible_at(index))
    }

    pub(crate) fn visible_ticks(&self, index: u64) -> i64 {
        self.timeline.visible_at(index)
    }

    /// The index below which everything is visible at `now`.
    pub(crate) fn settled(&self, now: i64) -> u64 {
        self.timeline.settled(now)
    }

    /// Whether the filter lets a detection through.
    pub fn admits(&self, filter: &Filter, index: u64) -> bool {
        *filter == Filter::default()
            || self
                .machine(self.alert(index).1)
                .is_some_and(|machine| filter.admits(machine))
    }

    /// The detection, written out.
    pub fn detection(&self, index: u64) -> Detection {
        let mut json = Vec::with_capacity(4096);
        self.write(index, &mut json);
        let json = String::from_utf8(json).unwrap_or_default();
        let full_id = json
            .split_once("\"FullId\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(id, _)| id.to_owned());
        Detection {
            index,
            full_id: full_id.unwrap_or_default(),
            last_processed: self.last_processed(index),
            visible_at: self.visible_at(index),
            json,
        }
    }

    /// The detections of a range of indices, in order, each made when asked for.
    pub fn detections(&self, range: Range<u64>) -> impl Iterator<Item = Detection> + '_ {
        range.map(|index| self.detection(index))
    }

    /// The first detection of the alert that this one belongs to, and the number
    /// that everything about that alert comes from.
    fn alert(&self, index: u64) -> (u64, u64) {
        let pattern = ALERTS_OF_EIGHT.get((hash(self.seed, PATTERN, index / 8) & 7) as usize);
        let place = pattern
            .and_then(|pattern| pattern.get((index % 8) as usize))
            .copied()
            .unwrap_or(0);
        let first = index / 8 * 8 + u64::from(place);
        (first, hash(self.seed, ALERT, first))
    }

    fn machine(&self, alert: u64) -> Option<&Machine> {
        let machines = &self.shared.machines;
        machines.get(usize::try_from(mix(alert) % machines.len().max(1) as u64).unwrap_or(0))
    }

    /// Appends the detection's JSON: some 1.9 KB in about a microsecond.
    pub fn write(&self, index: u64, out: &mut Vec<u8>) {
        let shared = &*self.shared;
        let (first, alert) = self.alert(index);
        let mut random = Random::new(alert);
        let story = random.below(shared.templates.len() as u64);
        let kind = usize::try_from(story).unwrap_or(0);
        let choice = hash(self.seed, SHAPE, index);
        let old = shared.of_2017.takes(choice);
        let shape = if old {
            4
        } else {
            usize::from(shared.older.takes(choice)) * 2
        };
        let shape = shape + usize::from(shared.nulls.takes(mix(choice)));
        let (Some(machine), Some(templates)) = (self.machine(alert), shared.templates.get(kind))
        else {
            return;
        };
        let Some(template) = templates.get(shape) else {
            return;
        };

        // Between 2 minutes and 3.5 days, as in the events that are public.
        let delay = 120 * SECOND
            + 302_280 * SECOND / 1000 * i64::try_from(random.below(10).pow(3)).unwrap_or(0);
        let spread = i64::try_from(random.below(3_000_000_000)).unwrap_or(0);
        let alert_time = self.timeline.time(first) - delay - spread;
        let mut alert_id = Vec::with_capacity(32);
        alert_id.extend_from_slice(if shape < 2 { b"da" } else { b"" });
        alert_id.extend_from_slice(&digits::<18>(
            u64::try_from(alert_time + DOTNET_1970).unwrap_or(0),
        ));
        alert_id.push(b'_');
        let number = random.next();
        alert_id.extend_from_slice(if number & 1 == 0 { b"-" } else { b"" });
        push_number(&mut alert_id, number >> 33);

        let file = story << 32 | (random.below(64));
        template.write(
            out,
            &Filling {
                machine,
                alert_id: &alert_id,
                alert_time,
                last_processed: self.timeline.time(index),
                part: index - first,
                unique: hash(self.seed, UNIQUE, index),
                of_alert: mix(alert ^ 1),
                of_file: hash(self.seed, FILE, file),
                of_rule: hash(self.seed, RULE, story),
            },
        );
    }
}
