/*
 * What an operator looks at: the reports of machine_monitor, sorted by subscription.
 *
 *   operator_console [--slow]
 *
 * Ends when the monitor says that it has stopped; exit status 0 if it saw what it should have:
 * states and a crashed process, or with --slow, where it reads nothing until its standard input
 * ends, a notice that events were lost.
 */
#include "machine.h"

/* Who subscribes is told by this number which subscription brought an event. */
enum { CRITICAL = 10, STATES = 20, EXITS = 30, TRACES = 40, STOPPED = 50 };

static struct palette colours;
static unsigned long seen_critical, seen_states, seen_traces, seen_lost;
static int is_stopped;

static const char *subscription_name(SaEvtSubscriptionIdT subscription)
{
    switch (subscription) {
    case CRITICAL: return "critical";
    case STATES: return "states";
    case EXITS: return "exits";
    case TRACES: return "traces";
    default: return "stopped";
    }
}

static void show(SaEvtSubscriptionIdT subscription, const struct report *report)
{
    char clock[16], delay_text[32];
    struct tm when;
    struct timespec now;
    time_t seconds = (time_t)(report->published / SA_TIME_ONE_SECOND);
    const char *severity = report->pattern[PATTERN_SEVERITY];

    clock_gettime(CLOCK_REALTIME, &now);
    SaTimeT delay = (SaTimeT)now.tv_sec * SA_TIME_ONE_SECOND + now.tv_nsec - report->published;
    if (delay < SA_TIME_ONE_SECOND / 10)
        snprintf(delay_text, sizeof delay_text, "%lld us", delay / SA_TIME_ONE_MICROSECOND);
    else
        snprintf(delay_text, sizeof delay_text, "%.1f s", (double)delay / 1e9);
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&seconds, &when));
    printf("console   %s%s.%03d%s  %2u %-8s  %s%-15s %-8s%s  %-54s %s%8s%s\n", colours.dim,
           clock, (int)(report->published / SA_TIME_ONE_MILLISECOND % 1000), colours.off,
           (unsigned)subscription, subscription_name(subscription),
           severity_colour(&colours, severity), report->pattern[PATTERN_TOPIC], severity,
           colours.off, report->text, colours.dim, delay_text, colours.off);
    fflush(stdout);
}

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT bytes)
{
    struct report report = take_report(event);
    (void)bytes;

    if (report.id == SA_EVT_EVENTID_LOST) {
        seen_lost++;
        printf("console   %s** events were lost: this console was too slow **%s\n", colours.bad,
               colours.off);
        fflush(stdout);
        return;
    }
    seen_critical += subscription == CRITICAL;
    seen_states += subscription == STATES;
    seen_traces += subscription == TRACES;
    is_stopped |= subscription == STOPPED;
    if (subscription != TRACES)
        show(subscription, &report);
}

/* One subscription: a filter for the topic and one for the severity; NULL lets everything pass. */
static void subscribe(SaEvtChannelHandleT channel, SaEvtSubscriptionIdT id,
                      SaEvtEventFilterTypeT topic_type, const char *topic, const char *severity)
{
    SaEvtEventFilterT filters[PATTERNS] = {
        [PATTERN_TOPIC] = filter(topic_type, topic),
        [PATTERN_HOST] = filter(SA_EVT_EXACT_FILTER, NULL),
        [PATTERN_SEVERITY] = filter(SA_EVT_EXACT_FILTER, severity),
    };
    SaEvtEventFilterArrayT array = {.filtersNumber = PATTERNS, .filters = filters};
    must(saEvtEventSubscribe(channel, &array, id), "saEvtEventSubscribe");
}

static void check(int is_slow)
{
    if (is_slow && seen_lost == 0)
        fail("operator_console: nothing was lost, %lu traces came", seen_traces);
    if (is_slow && seen_traces == 0)
        fail("operator_console: of the traces not one came");
    if (!is_slow && (seen_critical == 0 || seen_states == 0))
        fail("operator_console: %lu critical reports, %lu states", seen_critical, seen_states);
    if (!is_slow && seen_lost != 0)
        fail("operator_console: told of a loss without being slow");
}

int main(int argc, char **argv)
{
    int is_slow = argc == 2 && strcmp(argv[1], "--slow") == 0;
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};

    if (argc > 1 && !is_slow)
        fail("usage: operator_console [--slow]");
    colours = palette();
    SaEvtHandleT library = initialize(&callbacks);
    SaEvtChannelHandleT channel =
        open_machine(library, SA_EVT_CHANNEL_CREATE | SA_EVT_CHANNEL_SUBSCRIBER);

    /* An event comes once, for the first subscription that it matches: the critical ones first. */
    subscribe(channel, CRITICAL, SA_EVT_PASS_ALL_FILTER, NULL, "critical");
    subscribe(channel, EXITS, SA_EVT_SUFFIX_FILTER, ".exit", NULL);
    subscribe(channel, TRACES, SA_EVT_PREFIX_FILTER, "trace.", NULL);
    subscribe(channel, STATES, SA_EVT_PREFIX_FILTER, "state.", NULL);
    subscribe(channel, STOPPED, SA_EVT_EXACT_FILTER, TOPIC_STOPPED, NULL);
    printf("console   %sready, with five subscriptions%s\n", colours.bold, colours.off);
    fflush(stdout);

    while (is_slow && getchar() != EOF) {
    }
    while (!is_stopped || is_ready(library, 200)) {
        is_ready(library, -1);
        must(saEvtDispatch(library, SA_DISPATCH_ALL), "saEvtDispatch");
    }
    if (is_slow)
        printf("console   read %lu lines of trace, and was told %s of the loss\n", seen_traces,
               seen_lost == 1 ? "once" : "more than once");
    must(saEvtFinalize(library), "saEvtFinalize");
    check(is_slow);
    return EXIT_SUCCESS;
}
