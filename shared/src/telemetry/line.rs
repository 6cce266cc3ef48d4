//! Log lines: the fields of an event, merged with those of the context spans around it.

use std::fmt::Debug;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Scope},
};

use super::{CONTEXT, Sink, metrics};

pub(super) struct Lines {
    pub(super) function: &'static str,
    pub(super) namespace: Option<String>,
    pub(super) sink: Sink,
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let ours = context.span(id).filter(|_| attributes.metadata().target() == CONTEXT);
        if let Some(span) = ours {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id);
        if let Some(fields) =
            span.as_ref().map(|span| span.extensions_mut()).as_mut().and_then(|it| it.get_mut())
        {
            let fields: &mut Fields = fields;
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (now, metadata) = (Timestamp::now(), event.metadata());
        let mut line = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(Fields(fields)) = span.extensions().get() {
                line.0.extend(fields.clone());
            }
        }
        event.record(&mut line);
        let Fields(mut line) = line;
        line.insert("timestamp".to_owned(), now.to_string().into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("function".to_owned(), self.function.into());
        let directive =
            self.namespace.as_ref().and_then(|it| metrics::directive(metadata.target(), it, &line));
        if let Some(directive) = directive {
            let metadata = json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] });
            line.insert("_aws".to_owned(), metadata);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        (self.sink)(text.as_bytes());
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }
}
