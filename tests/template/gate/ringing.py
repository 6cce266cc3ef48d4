"""Whether alarms ring: each is tried on a fault that must ring, on trouble that must not, on no data, and after the fault.

A series is what a metric gets in a minute, as a list of samples, over and over; nothing where there is no data.
"""

import operator

from .metrics import of_alarm
from .template import text

COMPARE = {"GreaterThanThreshold": operator.gt, "GreaterThanOrEqualToThreshold": operator.ge,
           "LessThanThreshold": operator.lt, "LessThanOrEqualToThreshold": operator.le}
# A fault is told of within this many minutes, and its end too.
MINUTES = 20
HEALTHY = 24 * 60


def slow(share_of_a_hundred, milliseconds, usual=100):
    return [[milliseconds] * share_of_a_hundred + [usual] * (100 - share_of_a_hundred)]


THREE_OF_FIVE, TWO_OF_FIVE = [[0, 1], [0, 1], [0, 1], [0, 0], [0, 0]], [[0, 1], [0, 0], [0, 1], [0, 0], [0, 0]]
FOUR_OF_SIX, THREE_OF_SIX = [1, 1, 1, 1, 0, 0], [1, 0, 1, 0, 1, 0]
# Metric → series that must ring, series that must not. Percentiles of durations are of the function's time-out, see `cases`.
CASES = {
    **dict.fromkeys(("Errors", "Throttles", "ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors"), (THREE_OF_FIVE, TWO_OF_FIVE)),
    "Invocations": ([[]], [[1]]),
    "PracticesFailed": ([[0, one] for one in FOUR_OF_SIX], [[0, one] for one in THREE_OF_SIX]),
    "OldestDueSeconds": ([[0, 310 * one] for one in FOUR_OF_SIX], [[290, 290], [310, 310], [290, 290]]),
    "ApproximateAgeOfOldestMessage": ([[100, 910]], [[890, 890], [890, 910]]),
    "ApproximateNumberOfMessagesVisible": ([[0, 1]], [[0, 0]]),
    "Latency": (slow(2, 3100), slow(2, 2900)),
    "Duration": (slow(2, 0.99), slow(2, 0.75)),
}
# The API's 5xx beside its calls.
API = {
    "rings": ([[0] * 97 + [1] * 3], [[1] * 100]),
    "quiet": ([[0] * 98 + [1] * 2], [[1] * 400]),
    "few": ([[0] * 9 + [1] * 1], [[1] * 10]),
}


def cases(template, alarm):
    """(what happens, whether it must ring, the series of each metric that the alarm reads)."""
    read = [(metric, tuple(dimensions.values())) for _, metric, dimensions in of_alarm(alarm)]
    silence = dict.fromkeys(read, [[]])
    if {metric for metric, _ in read} == {"5xx", "Count"}:
        errors, calls = sorted(read, key=lambda one: one[0] != "5xx")
        yield "3 % of the calls fail", True, {errors: API["rings"][0], calls: API["rings"][1]}
        yield "half a percent of the calls fails", False, {errors: API["quiet"][0], calls: API["quiet"][1]}
        yield "one of ten calls in a minute fails", False, {errors: [*API["few"][0], [0], [0], [0], [0]], calls: API["few"][1]}
        return
    for one in read:
        rings, quiet = CASES.get(one[0], (None, None))
        if rings is None:
            yield f"{one[0]}, which no case knows", True, silence
            continue
        if one[0] == "Duration":
            timeout = 1000 * template.functions()[one[1][0][2:-1]]["Timeout"]
            rings, quiet = ([[timeout * sample if sample < 1 else sample for sample in minute] for minute in series] for series in (rings, quiet))
        yield f"{one[0]} of {' '.join(one[1])} is bad", True, silence | {one: rings}
        yield f"{one[0]} of {' '.join(one[1])} is tolerable", False, silence | {one: quiet}
        yield f"{one[0]} of {' '.join(one[1])} has no data", rings == [[]], silence


def statistic(name, samples):
    """The value of a period, None without data."""
    if not samples:
        return None
    if name.startswith("p"):
        return sorted(samples)[min(len(samples) - 1, int(len(samples) * float(name[1:]) / 100))]
    by_name = {"Sum": sum, "Maximum": max, "Minimum": min, "Average": lambda them: sum(them) / len(them), "SampleCount": len}
    return by_name[name](samples)


def reading(metric, stat, period, series, end):
    """The value of one metric in the period that ends at a minute; `series` tells the samples of a minute."""
    samples = [sample for minute in range(end - period // 60, end) for sample in series(metric, minute)]
    return statistic(stat, samples)


def datapoint(alarm, series, end):
    """(length in minutes, value) of the alarm's datapoint that ends at a minute."""
    queries = alarm.get("Metrics")
    if not queries:
        (_, metric, dimensions), = of_alarm(alarm)
        stat = alarm.get("Statistic", alarm.get("ExtendedStatistic"))
        return alarm["Period"] // 60, reading((metric, tuple(dimensions.values())), stat, alarm["Period"], series, end)
    values, period = {}, 60
    for one in queries:
        if "MetricStat" in one:
            source, period = one["MetricStat"], one["MetricStat"]["Period"]
            key = source["Metric"]["MetricName"], tuple(text(named["Value"]) for named in source["Metric"].get("Dimensions", []))
            values[one["Id"]] = reading(key, source["Stat"], period, series, end)
    expression, = (one["Expression"] for one in queries if "Expression" in one)
    return period // 60, computed(expression, values)


def computed(expression, values):
    """Metric math of the forms that the template uses; what has no data makes no value, and so does a division by nothing."""
    functions = {
        "SUM": sum, "METRICS": lambda: list(values.values()), "IF": lambda condition, then, otherwise: then if condition else otherwise,
        "FILL": lambda filled, value: [value if one is None else one for one in filled],
    }
    try:
        return eval(expression, {"__builtins__": {}}, functions | values)  # noqa: S307 our own template's
    except (TypeError, ZeroDivisionError):
        return None


def rings(alarm, series, now):
    length, _ = datapoint(alarm, series, now)
    ends = [now - number * length for number in range(alarm["EvaluationPeriods"])]
    points = [datapoint(alarm, series, end)[1] for end in ends]
    missing = alarm["TreatMissingData"] == "breaching"
    breaching = [missing if one is None else COMPARE[alarm["ComparisonOperator"]](one, alarm["Threshold"]) for one in points]
    return sum(breaching) >= alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])


def alarms_ring(template):
    for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        # CloudWatch may find nothing to fill either.
        silence_is_the_fault = any(metric == "Invocations" for _, metric, _ in of_alarm(alarm))
        if (alarm.get("TreatMissingData") == "breaching") != silence_is_the_fault:
            yield f"{name} {'is silent' if silence_is_the_fault else 'rings'} when nothing is measured at all"
        for what, must, trouble in cases(template, alarm):
            try:
                if rings(alarm, lambda one, minute: at(trouble[one], minute), HEALTHY) != must:
                    yield f"{name} {'is silent' if must else 'rings'} when {what}"
                elif must and what_follows(alarm, trouble):
                    yield f"{name} {what_follows(alarm, trouble)} when {what}"
            except (AttributeError, KeyError, SyntaxError, NameError, ValueError) as error:
                yield f"{name} can't be tried: {error!r}"
                break


def at(series, minute):
    return series[minute % len(series)]


def what_follows(alarm, trouble):
    """What is wrong with an alarm that takes too long: to ring for a fault that began lately, or to stop after its end."""
    usual = {one: [[1]] if one[0] == "Invocations" else [[0]] for one in trouble}
    if not rings(alarm, lambda one, minute: at(trouble[one] if minute >= HEALTHY - MINUTES else usual[one], minute), HEALTHY):
        return "takes too long to ring"
    if rings(alarm, lambda one, minute: at(trouble[one] if minute < HEALTHY - MINUTES else usual[one], minute), HEALTHY):
        return "goes on ringing"
    return None


RULES = [alarms_ring]
