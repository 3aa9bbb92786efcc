/* The roles of an overload: one that publishes without regard, one that is too slow, a hog. */
#include "driver.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

/*
 * flood: channel, bytes.
 *   for N   publishes as fast as it can for N ms and takes no notice of refusals
 *   one     publishes one event with patience
 * Both answer `published refused` so far.
 */
int role_flood(void)
{
    static uint64_t data[EVENT_BYTES_MAX / sizeof(uint64_t)];
    size_t bytes = (size_t)argument("bytes", 64);
    SaEvtChannelHandleT channel =
        channel_open(library_open(), argument_text("channel", "flood"), 0);
    SaEvtEventHandleT event = event_new(channel, PATTERN, 0);
    SaEvtEventIdT id;
    unsigned long long published = 0, refused = 0;
    char word[32];
    long number;

    answer("ready");
    while (command(word, &number)) {
        uint64_t end = now_ns() + (uint64_t)number * 1000000u;

        if (!strcmp(word, "one")) {
            data[0] = published++;
            publish(event, data, bytes);
        }
        while (now_ns() < end) {
            data[0] = published;
            if (saEvtEventPublish(event, data, bytes, &id) == SA_AIS_OK)
                published++;
            else
                refused++;
        }
        answer("%llu %llu", published, refused);
    }
    return 0;
}

/*
 * slow: channel, pause (us between two events).
 *   for N    receives for N ms, slowly
 *   quick N  receives at full speed until nothing has come for N ms
 * Answers `events lost gaps silent next`: silent are gaps without a lost-event, next is the number
 * of the event that would come next.
 */
int role_slow(void)
{
    SaEvtHandleT library = library_open();
    SaEvtChannelHandleT channel = channel_open(library, argument_text("channel", "flood"), 0);
    useconds_t pause_us = (useconds_t)argument("pause", 1000);
    struct pollfd wait = {.events = POLLIN};
    SaSelectionObjectT selection;
    char word[32];
    long number;

    received.times = 1;
    subscribe(channel, 1);
    must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    wait.fd = (int)selection;
    answer("ready");
    while (command(word, &number)) {
        int quick = !strcmp(word, "quick");
        uint64_t end = now_ns() + (uint64_t)number * 1000000u;

        while (now_ns() < end) {
            if (poll(&wait, 1, quick ? (int)number : 10) == 0) {
                if (quick)
                    break;
                continue;
            }
            must(saEvtDispatch(library, SA_DISPATCH_ONE), "saEvtDispatch");
            if (quick)
                end = now_ns() + (uint64_t)number * 1000000u;
            else
                usleep(pause_us);
        }
        answer("%llu %llu %llu %llu %llu", (unsigned long long)received.events,
               (unsigned long long)received.lost, (unsigned long long)received.gaps,
               (unsigned long long)received.silent, (unsigned long long)received.next);
    }
    return 0;
}

/* hog: uses a CPU until the end of input. */
int role_hog(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    volatile unsigned long turns = 0;
    unsigned long i;

    answer("ready");
    while (poll(&input, 1, 0) == 0)
        for (i = 0; i < 100000; i++)
            turns++;
    return 0;
}
