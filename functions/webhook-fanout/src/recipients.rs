//! The subscriptions that a batch's events are for.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    auth::DeliveryGrant,
    control::{
        self,
        subscriptions::{BreakerState, Subscription},
    },
    domain::{PracticePass, delivery::WithheldReason, ids::PartnerId, webhook_event::EventMessage},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Lane;

/// So many calls to one endpoint are under way at the same time, in each process.
const PLACES: usize = 4;
/// While an endpoint is probed, others for it come back after so long.
const WHILE_PROBED: SignedDuration = SignedDuration::from_secs(3);

/// What becomes of a message now.
pub(crate) enum Course {
    /// It is attempted, with this permission.
    Attempt(Box<Subscription>, DeliveryGrant),
    /// It goes to the slow lane.
    SlowLane,
    /// It waits until then: its endpoint is parked.
    Wait(Timestamp),
    /// Its partner has no access to it now.
    Withhold(WithheldReason),
    /// Nobody wants it any more.
    Unwanted,
}

type Key = (PracticePass, PartnerId);

/// Each read once for the batch, and again before what begins late.
pub(crate) struct Recipients(HashMap<Key, Recipient>);

/// A partner's subscription in a practice, and the batch's knowledge of it.
pub(crate) struct Recipient {
    key: Key,
    /// With the time it was read; `None` when it could not be.
    state: Mutex<Option<(Option<Subscription>, Instant)>>,
    places: Semaphore,
}

impl Recipients {
    /// What can't be read now is read when its turn comes.
    pub(crate) async fn load<'a>(app: &App, messages: impl Iterator<Item = &'a EventMessage>) -> Self {
        let keys: HashSet<Key> = messages.map(key_of).collect();
        let loaded = keys.into_iter().map(async |key| {
            let before = Instant::now();
            // Access is kept by the app; what can't be read is asked for again.
            let (found, _) =
                tokio::join!(app.control.subscription(&key.0, &key.1), app.partner_access(&key.0, &key.1));
            let state = Mutex::new(found.ok().map(|found| (found, before)));
            (key.clone(), Recipient { key, state, places: Semaphore::new(PLACES) })
        });
        Self(join_all(loaded).await.into_iter().collect())
    }

    pub(crate) fn of(&self, message: &EventMessage) -> Option<&Recipient> {
        self.0.get(&key_of(message))
    }
}

fn key_of(message: &EventMessage) -> Key {
    (message.practicepass().clone(), message.partner.clone())
}

impl Recipient {
    /// Waits until the endpoint may be called once more beside the calls that are under way.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.places.acquire().await.ok()
    }

    pub(crate) async fn course(
        &self,
        app: &App,
        lane: Lane,
        message: &EventMessage,
    ) -> control::Result<Course> {
        let fresh = |(_, read_at): &(_, Instant)| read_at.elapsed() < app.config.timeouts.subscription_read;
        let kept = self.state().clone().filter(fresh);
        let found = if let Some((found, _)) = kept {
            found
        } else {
            let before = Instant::now();
            let found = app.control.subscription(&self.key.0, &self.key.1).await?;
            *self.state() = Some((found.clone(), before));
            found
        };
        let Some(mut subscription) = found.filter(|it| wants(it, message)) else {
            return Ok(Course::Unwanted);
        };
        let access = app.partner_access(&self.key.0, &self.key.1).await?;
        let now = app.clock.now();
        // Before anything else is done for it: no lane, no wait and no probe is for a delivery without access.
        let grant = match subscription.permit(&access, Some(message.event().event), now) {
            Ok(grant) => grant,
            Err(reason) => return Ok(Course::Withhold(reason)),
        };
        let state = subscription.breaker.state(now);
        let slowly = lane == Lane::Fast && subscription.breaker.is_slow();
        Ok(match state {
            BreakerState::Parked => Course::Wait(subscription.breaker.parked_until().unwrap_or(now)),
            _ if slowly => Course::SlowLane,
            BreakerState::Closed | BreakerState::Slow => Course::Attempt(Box::new(subscription), grant),
            BreakerState::Due if app.control.take_probe(&mut subscription, now).await? => {
                self.learn(&subscription);
                Course::Attempt(Box::new(subscription), grant)
            }
            BreakerState::Due | BreakerState::Probing => {
                Course::Wait(now.saturating_add(WHILE_PROBED).unwrap_or(now))
            }
        })
    }

    /// Takes up what an attempt has shown of the endpoint, for the rest of the batch.
    pub(crate) fn learn(&self, seen: &Subscription) {
        let mut state = self.state();
        let known = state.as_mut().and_then(|(known, _)| known.as_mut());
        if let Some(known) = known.filter(|known| known.generation == seen.generation) {
            known.failing_since = seen.failing_since;
            known.breaker = seen.breaker.clone();
            known.last = seen.last.clone();
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<(Option<Subscription>, Instant)>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the subscription is still the one the message was made for, and still asks for such events.
fn wants(subscription: &Subscription, message: &EventMessage) -> bool {
    subscription.is_active()
        && subscription.id == message.subscription
        && subscription.generation == message.generation
        && subscription.scopes.contains(&message.event().event)
}
