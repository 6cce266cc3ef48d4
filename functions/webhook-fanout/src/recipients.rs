//! The subscriptions that receive a batch's events.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    auth::DeliveryGrant,
    control::{
        self,
        subscriptions::{BreakerState, Slots, Subscription},
    },
    domain::{
        PracticePass, delivery::WithheldReason, ids::PartnerId, pace::Slot, webhook_event::EventMessage,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Lane;

/// The maximum number of concurrent calls to one endpoint, per process.
const PLACES: usize = 4;
/// How long other deliveries wait while an endpoint is probed.
const WHILE_PROBED: SignedDuration = SignedDuration::from_secs(3);
/// How late a slot may be used: calls that are late together must not run together.
const LATEST: SignedDuration = SignedDuration::from_secs(1);

/// The next step for a message.
pub(crate) enum Disposition {
    /// Attempt the delivery, with this permission.
    Attempt(Box<Subscription>, DeliveryGrant),
    /// Move it to the slow lane.
    SlowLane,
    /// Take a slot of its paced endpoint first.
    NeedsSlot,
    /// Wait until then, because the endpoint's circuit is open.
    Wait(Timestamp),
    /// Withhold it, because its partner has no access to the event now.
    Withhold(WithheldReason),
    /// Cancel it, because the subscription no longer asks for it.
    Unwanted,
}

type Key = (PracticePass, PartnerId);

/// The recipients. Each is read once for the batch, and again before late attempts.
pub(crate) struct Recipients(HashMap<Key, Arc<Recipient>>);

/// A partner's subscription in a practice, and the batch's knowledge of it.
pub(crate) struct Recipient {
    key: Key,
    /// The subscription and when it was read; `None` if it could not be read.
    state: Mutex<Option<(Option<Subscription>, Instant)>>,
    places: Arc<Semaphore>,
    /// The number of messages of the batch that may need a slot.
    undecided: AtomicUsize,
    /// The slots that were taken for these messages.
    slots: tokio::sync::Mutex<VecDeque<Slot>>,
}

impl Recipients {
    /// Reads the recipients of the messages. A failed read is repeated before the attempt.
    pub(crate) async fn load<'a>(app: &App, messages: impl Iterator<Item = &'a EventMessage>) -> Self {
        let mut counts: HashMap<Key, usize> = HashMap::new();
        messages.for_each(|message| *counts.entry(key_of(message)).or_default() += 1);
        let keys: HashSet<Key> = counts.keys().cloned().collect();
        let loaded = keys.into_iter().map(async |key| {
            let before = Instant::now();
            // The app caches access, and reads it again after a failure.
            let (found, _) =
                tokio::join!(app.control.subscription(&key.0, &key.1), app.partner_access(&key.0, &key.1));
            (key, found.ok().map(|found| (found, before)))
        });
        let recipient = |(key, state): (Key, _)| {
            let undecided = AtomicUsize::new(counts.get(&key).copied().unwrap_or_default());
            let (state, places) = (Mutex::new(state), Arc::new(Semaphore::new(PLACES)));
            let recipient = Recipient {
                key: key.clone(),
                state,
                places,
                undecided,
                slots: tokio::sync::Mutex::default(),
            };
            (key, Arc::new(recipient))
        };
        Self(join_all(loaded).await.into_iter().map(recipient).collect())
    }

    pub(crate) fn of(&self, message: &EventMessage) -> Option<Arc<Recipient>> {
        self.0.get(&key_of(message)).cloned()
    }
}

fn key_of(message: &EventMessage) -> Key {
    (message.practicepass().clone(), message.partner.clone())
}

impl Recipient {
    /// Waits until the limit of concurrent calls allows another call; `None` if the calls are slow.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Ends all waiting for a place.
    pub(crate) fn close(&self) {
        self.places.close();
    }

    /// Decides the next step for a message. `slot` is the message's slot, if any.
    pub(crate) async fn disposition(
        &self,
        app: &App,
        lane: Lane,
        message: &EventMessage,
        slot: Option<&Slot>,
    ) -> control::Result<Disposition> {
        let Some(mut subscription) = self.subscription(app).await?.filter(|it| wants(it, message)) else {
            return Ok(Disposition::Unwanted);
        };
        let access = app.partner_access(&self.key.0, &self.key.1).await?;
        let now = app.clock.now();
        // Check access first: a delivery without access uses no lane, wait or probe.
        let grant = match subscription.permit(&access, Some(message.event().event), now) {
            Ok(grant) => grant,
            Err(reason) => return Ok(Disposition::Withhold(reason)),
        };
        let breaker = &subscription.breaker;
        let state = breaker.state(now);
        let is_probed = breaker.is_probed(now);
        let pace = breaker.pace(now);
        if state == BreakerState::Open {
            return Ok(Disposition::Wait(breaker.open_until().unwrap_or(now)));
        }
        if lane == Lane::Fast && (breaker.is_slow() || pace.is_some()) {
            return Ok(Disposition::SlowLane);
        }
        if let Some(pace) = pace {
            let in_time = |slot: &&Slot| {
                // The caller has waited for the slot.
                let begins = now.max(slot.instant());
                slot.series == pace.series
                    && !pace.is_held(begins)
                    && now.duration_since(slot.instant()) <= LATEST
            };
            if slot.as_ref().is_none_or(|x| !in_time(x)) {
                return Ok(Disposition::NeedsSlot);
            }
        }
        Ok(match state {
            BreakerState::HalfOpen
                if !is_probed && app.control.take_probe(&mut subscription, now).await? =>
            {
                self.learn(&subscription);
                Disposition::Attempt(Box::new(subscription), grant)
            }
            BreakerState::HalfOpen => Disposition::Wait(now.saturating_add(WHILE_PROBED).unwrap_or(now)),
            _ => Disposition::Attempt(Box::new(subscription), grant),
        })
    }

    /// Returns a slot of the paced endpoint.
    ///
    /// The first message that needs one takes a slot for each message of the batch.
    pub(crate) async fn slot(&self, app: &App) -> control::Result<Slots> {
        let mut slots = self.slots.lock().await;
        let Some(mut subscription) = self.subscription(app).await? else { return Ok(Slots::NotPaced) };
        let now = app.clock.now();
        let Some(series) = subscription.breaker.pace(now).map(|it| it.series) else {
            return Ok(Slots::NotPaced);
        };
        slots.retain(|slot| slot.series == series);
        if slots.is_empty() {
            let count = self.undecided.load(Ordering::Relaxed).max(1);
            match app.control.take_slots(&mut subscription, count, now).await {
                Ok(Slots::Taken(taken)) => slots.extend(taken),
                Ok(other) => return Ok(other),
                // Too many processes take slots now. A message left in the queue would return after
                // minutes, and become a dead letter if that happens often.
                Err(control::Error::Unavailable { .. }) => return Ok(Slots::Full),
                Err(error) => return Err(error),
            }
            self.learn(&subscription);
        }
        Ok(slots.pop_front().map_or(Slots::Full, |slot| Slots::Taken(vec![slot])))
    }

    /// Records that one more message of the batch needs no slot.
    pub(crate) fn decided(&self) {
        let _ =
            self.undecided.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
    }

    /// Applies an attempt's changes to the subscription, for the rest of the batch.
    pub(crate) fn learn(&self, seen: &Subscription) {
        let mut state = self.state();
        let known = state.as_mut().and_then(|(known, _)| known.as_mut());
        if let Some(known) = known.filter(|known| known.generation == seen.generation) {
            known.failing_since = seen.failing_since;
            known.last = seen.last.clone();
            let before = std::mem::replace(&mut known.breaker, seen.breaker.clone());
            known.breaker.keep_newer_pace(&before);
        }
    }

    /// Returns the subscription from a recent read.
    async fn subscription(&self, app: &App) -> control::Result<Option<Subscription>> {
        let fresh = |(_, read_at): &(_, Instant)| read_at.elapsed() < app.config.timeouts.subscription_read;
        if let Some((found, _)) = self.state().clone().filter(fresh) {
            return Ok(found);
        }
        let before = Instant::now();
        let found = app.control.subscription(&self.key.0, &self.key.1).await?;
        *self.state() = Some((found.clone(), before));
        Ok(found)
    }

    fn state(&self) -> MutexGuard<'_, Option<(Option<Subscription>, Instant)>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the subscription is still the message's, and still includes the event's scope.
fn wants(subscription: &Subscription, message: &EventMessage) -> bool {
    subscription.is_active()
        && subscription.id == message.subscription
        && subscription.generation == message.generation
        && subscription.scopes.contains(&message.event().event)
}
