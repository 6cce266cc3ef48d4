"""Faults for the rule in ringing.py: what is broken, and what the finding must name."""

from .plant import properties


def stat(template, alarm, value):
    properties(template, alarm)["Metrics"][1]["MetricStat"].update(value)


FAULTS = {
    "alarms_ring": [
        (lambda t: properties(t, "DeadLettersAlarm").update(ComparisonOperator="LessThanThreshold"), "DeadLettersAlarm is silent"),
        (lambda t: properties(t, "DeadLettersAlarm").update(Threshold=1_000_000), "DeadLettersAlarm is silent"),
        (lambda t: properties(t, "DeadLettersAlarm").update(Statistic="Minimum"), "DeadLettersAlarm is silent"),
        (lambda t: properties(t, "DeadLettersAlarm").update(TreatMissingData="breaching"), "DeadLettersAlarm rings"),
        (lambda t: properties(t, "LogPollerErrorsAlarm").update(TreatMissingData="breaching"), "LogPollerErrorsAlarm rings when nothing"),
        (lambda t: properties(t, "DeadLettersAlarm").pop("Statistic"), "DeadLettersAlarm can't be tried"),
        (lambda t: properties(t, "LogPollerSilentAlarm").update(TreatMissingData="notBreaching"), "LogPollerSilentAlarm is silent"),
        (lambda t: properties(t, "LogPollerSilentAlarm").update(ComparisonOperator="GreaterThanThreshold"), "LogPollerSilentAlarm rings"),
        (lambda t: properties(t, "LogPollerErrorsAlarm").update(EvaluationPeriods=500), "LogPollerErrorsAlarm rings"),
        (lambda t: properties(t, "LogPollerErrorsAlarm").pop("DatapointsToAlarm"), "LogPollerErrorsAlarm is silent"),
        (lambda t: stat(t, "PartnerApiErrorsAlarm", {"Stat": "Minimum"}), "Errors of ${AuthFunction}"),
        (lambda t: properties(t, "PartnerApiErrorsAlarm")["Metrics"][0].update(Expression="SUM(METRICS())"), "PartnerApiErrorsAlarm is silent"),
        (lambda t: properties(t, "PartnerApiErrorsAlarm")["Metrics"][0].update(Expression="0 * auth"), "PartnerApiErrorsAlarm is silent"),
        (lambda t: properties(t, "PartnerApiErrorsAlarm")["Metrics"][0].update(Expression="RATE(auth)"), "can't be tried"),
        (lambda t: properties(t, "ApiErrorsAlarm")["Metrics"][0].update(Expression="IF(errors > 5, 100 * calls / errors, 0)"), "ApiErrorsAlarm rings"),
        (lambda t: properties(t, "ApiErrorsAlarm").update(Threshold=100), "ApiErrorsAlarm is silent"),
        (lambda t: properties(t, "ApiErrorsAlarm")["Metrics"][0].update(Expression="100 * errors / calls"), "one of ten calls"),
        (lambda t: properties(t, "ApiLatencyAlarm").update(ExtendedStatistic="p50"), "ApiLatencyAlarm is silent"),
        (lambda t: properties(t, "ApiLatencyAlarm").update(Period=86400), "takes too long to ring"),
        (lambda t: properties(t, "OldestEventAlarm").update(Period=3600, EvaluationPeriods=1), "OldestEventAlarm rings"),
        (lambda t: properties(t, "DueRetriesAlarm").update(Statistic="Average"), "DueRetriesAlarm is silent"),
        (lambda t: properties(t, "PracticesFailedAlarm").update(EvaluationPeriods=4), "PracticesFailedAlarm is silent"),
    ],
}
