/* The roles that are there while something else is measured, and those of memory and start. */
#include "driver.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Waits for the end of input. */
static void stay(void)
{
    char word[32];
    long number;

    while (command(word, &number))
        continue;
}

/* One idle program with one handle; `bare`: without channel and selection object. */
static void idle_program(int say, int bare)
{
    SaEvtHandleT library = library_open();

    if (!bare) {
        SaEvtChannelHandleT channel = channel_open(library, argument_text("channel", "a"), 0);
        SaEvtEventFilterT filter = {SA_EVT_EXACT_FILTER,
                                    {.patternSize = strlen(IDLE_PATTERN),
                                     .pattern = (SaUint8T *)IDLE_PATTERN}};
        SaEvtEventFilterArrayT filters = {.filtersNumber = 1, .filters = &filter};
        SaSelectionObjectT selection;

        must(saEvtEventSubscribe(channel, &filters, 1), "saEvtEventSubscribe");
        must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    }
    must_system(write(say, "", 1) == 1, "write");
    for (;;)
        pause();
}

/*
 * crowd: clients, channel, bare, uninitialized. That many idle programs, children of this one,
 * each of which has the channel open and a subscription that no measured event matches. With
 * bare=1 they have a library handle alone, with uninitialized=1 not even that.
 */
int role_crowd(void)
{
    long clients = argument("clients", 1000), i;
    pid_t *children = malloc((size_t)clients * sizeof *children);
    int told[2];
    char byte;

    must_system(pipe(told) == 0, "pipe");
    for (i = 0; i < clients; i++) {
        children[i] = fork();
        must_system(children[i] >= 0, "fork");
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (!argument("uninitialized", 0))
                idle_program(told[1], (int)argument("bare", 0));
            must_system(write(told[1], "", 1) == 1, "write");
            for (;;)
                pause();
        }
        must_system(read(told[0], &byte, 1) == 1, "a client");
    }
    answer("ready");
    stay();
    for (i = 0; i < clients; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        continue;
    return 0;
}

/* retainer: events, channel, bytes. Publishes that many retained events that nobody asks for. */
int role_retainer(void)
{
    static uint64_t data[EVENT_BYTES_MAX / sizeof(uint64_t)];
    long events = argument("events", 1), i;
    SaEvtChannelHandleT channel =
        channel_open(library_open(), argument_text("channel", "a"), 0);
    SaEvtEventHandleT event = event_new(channel, KEPT_PATTERN, 50000 * SA_TIME_ONE_SECOND);

    for (i = 0; i < events; i++) {
        data[0] = (uint64_t)i;
        publish(event, data, (size_t)argument("bytes", 64));
    }
    answer("ready");
    stay();
    return 0;
}

/* handles: handles. One program with that many library handles and a selection object for each. */
int role_handles(void)
{
    long handles = argument("handles", 1), i;

    answer("ready");
    stay();
    for (i = 0; i < handles; i++) {
        SaEvtHandleT library = library_open();
        SaSelectionObjectT selection;

        if (!argument("bare", 0))
            must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    }
    answer("ready");
    for (;;)
        pause();
}

/* start: answers how long it took from saEvtInitialize() to the first delivered event, in ns. */
int role_start(void)
{
    uint64_t data = 0, begin = now_ns();
    SaEvtHandleT library = library_open();
    SaEvtChannelHandleT channel = channel_open(library, argument_text("channel", "a"), 0);
    SaSelectionObjectT selection;

    subscribe(channel, 1);
    must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    publish(event_new(channel, PATTERN, 0), &data, sizeof data);
    receive(library, selection, 1);
    answer("%llu", (unsigned long long)(now_ns() - begin));
    must(saEvtFinalize(library), "saEvtFinalize");
    return 0;
}
