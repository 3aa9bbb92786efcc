/*
 * Comes when everything is over, and is given the last state of each kind all the same.
 *
 *   late_viewer            exit status 0 if load, memory and disk were there, each of them once
 */
#include "machine.h"

static const char *const expected[] = {"state.load", "state.memory", "state.disk"};
enum { EXPECTED = sizeof expected / sizeof expected[0] };

static unsigned seen[EXPECTED];
static struct palette colours;

static void on_event(SaEvtSubscriptionIdT subscription, SaEvtEventHandleT event, SaSizeT bytes)
{
    struct report report = take_report(event);
    struct timespec now;
    (void)subscription, (void)bytes;

    if (report.id == SA_EVT_EVENTID_LOST)
        fail("late_viewer: told of a loss, though nothing was sent");
    for (int i = 0; i < EXPECTED; i++)
        seen[i] += strcmp(report.pattern[PATTERN_TOPIC], expected[i]) == 0;
    clock_gettime(CLOCK_REALTIME, &now);
    double age = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)report.published / 1e9;
    printf("viewer    %s%-15s %-8s%s  %-44s %s%.1f s old, kept for %lld s%s\n",
           severity_colour(&colours, report.pattern[PATTERN_SEVERITY]),
           report.pattern[PATTERN_TOPIC], report.pattern[PATTERN_SEVERITY], colours.off,
           report.text, colours.dim, age, report.retention / SA_TIME_ONE_SECOND, colours.off);
}

int main(void)
{
    SaEvtCallbacksT callbacks = {.saEvtEventDeliverCallback = on_event};
    SaEvtEventFilterT states = filter(SA_EVT_PREFIX_FILTER, "state.");
    SaEvtEventFilterArrayT filters = {.filtersNumber = 1, .filters = &states};

    colours = palette();
    SaEvtHandleT library = initialize(&callbacks);
    /* No create flag: the channel is still there although nobody has it open. */
    SaEvtChannelHandleT channel = open_machine(library, SA_EVT_CHANNEL_SUBSCRIBER);
    must(saEvtEventSubscribe(channel, &filters, 1), "saEvtEventSubscribe");
    while (is_ready(library, 0))
        must(saEvtDispatch(library, SA_DISPATCH_ALL), "saEvtDispatch");
    for (int i = 0; i < EXPECTED; i++)
        if (seen[i] != 1)
            fail("late_viewer: %s came %u times", expected[i], seen[i]);
    must(saEvtFinalize(library), "saEvtFinalize");
    return EXIT_SUCCESS;
}
