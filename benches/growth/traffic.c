/* The roles between which events run: publisher and subscriber, ping and pong. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Round trips that are measured at once, at most. */
#define ROUNDS_MAX 1000000
/* Events that the publisher may be ahead by default: below what the daemon queues. */
#define WINDOW 8192
/* Events between two looks at how far the subscriber is. */
#define EVENTS_BETWEEN_LOOKS 64

/*
 * publisher: channel, channels, bytes, window, shared, turn.
 *   run N     publishes N events; answers `begin end refused` (monotonic ns, ns, times)
 *   settle    answers when the daemon has taken all that was published
 * It is never more than `window` events ahead of the subscriber. With turn=1 it publishes to all
 * of its channels in turn.
 */
int role_publisher(void)
{
    const char *name = argument_text("channel", "a");
    long channels = argument("channels", 1), turn = argument("turn", 0) ? channels : 1;
    uint64_t window = (uint64_t)argument("window", WINDOW), sent = 0;
    size_t bytes = (size_t)argument("bytes", 64);
    volatile uint64_t *count = shared_count(argument_text("shared", NULL));
    static uint64_t data[EVENT_BYTES_MAX / sizeof(uint64_t)];
    SaEvtHandleT library = library_open();
    SaEvtEventHandleT *events = malloc((size_t)channels * sizeof *events);
    char word[32];
    long i, number;

    for (i = 0; i < channels; i++)
        events[i] = event_new(channel_open(library, name, i), PATTERN, 0);
    answer("ready");
    while (command(word, &number)) {
        uint64_t begin = now_ns();
        long refused = 0;

        if (!strcmp(word, "settle"))
            /* A request is handled after everything that was published before it. */
            channel_open(library, "settled", 0);
        for (i = 0; i < number; i++) {
            if (i % EVENTS_BETWEEN_LOOKS == 0)
                while (sent - *count > window)
                    usleep(20);
            data[0] = sent++;
            refused += publish(events[turn == 1 ? 0 : i % turn], data, bytes);
        }
        answer("%llu %llu %ld", (unsigned long long)begin, (unsigned long long)now_ns(), refused);
    }
    return 0;
}

/*
 * subscriber: channel, channels, subscriptions, shared, turn.
 *   run N    receives N events; answers `end lost gaps` (monotonic ns, times, times)
 *   keep N   the same, without freeing them
 */
int role_subscriber(void)
{
    const char *name = argument_text("channel", "a");
    long channels = argument("channels", 1), subscriptions = argument("subscriptions", 1);
    SaEvtHandleT library = library_open();
    SaSelectionObjectT selection;
    char word[32];
    long i, number;

    received.count = shared_count(argument_text("shared", NULL));
    for (i = 0; i < channels; i++) {
        SaEvtChannelHandleT channel = channel_open(library, name, i);

        if (i == 0 || argument("turn", 0))
            subscribe(channel, i == 0 ? subscriptions : 1);
    }
    must(saEvtSelectionObjectGet(library, &selection), "saEvtSelectionObjectGet");
    answer("ready");
    while (command(word, &number)) {
        received.keep = strcmp(word, "keep") ? 0 : (uint64_t)number;
        receive(library, selection, received.events + (uint64_t)number);
        answer("%llu %llu %llu", (unsigned long long)now_ns(), (unsigned long long)received.lost,
               (unsigned long long)received.gaps);
    }
    return 0;
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

/* Opens what ping and pong hold: `there` to publish to, and a subscription on `back`. */
static SaEvtEventHandleT ends_open(SaEvtHandleT library, const char *there, const char *back,
                                   SaSelectionObjectT *selection)
{
    long channels = argument("channels", 1);
    SaEvtChannelHandleT out = channels_open(library, there, channels);
    SaEvtChannelHandleT in = channels_open(library, back, channels);

    subscribe(in, argument("subscriptions", 1));
    must(saEvtSelectionObjectGet(library, selection), "saEvtSelectionObjectGet");
    return event_new(out, PATTERN, 0);
}

/*
 * ping: channels, subscriptions, bytes.
 *   run N    N round trips; answers `p50 p99 mean` in ns
 *   keep N   the same, and the answers that come are not freed
 *   for N    as many as there are within N ms
 */
int role_ping(void)
{
    static uint64_t data[EVENT_BYTES_MAX / sizeof(uint64_t)];
    static uint32_t times[ROUNDS_MAX];
    size_t bytes = (size_t)argument("bytes", 64);
    SaEvtHandleT library = library_open();
    SaSelectionObjectT selection;
    SaEvtEventHandleT event = ends_open(library, "there", "back", &selection);
    char word[32];
    long number;

    answer("ready");
    while (command(word, &number)) {
        uint64_t begin = now_ns(), last = begin, end, now;
        size_t rounds = strcmp(word, "for") ? (size_t)number : ROUNDS_MAX, i;

        end = rounds == ROUNDS_MAX ? begin + (uint64_t)number * 1000000u : UINT64_MAX;
        received.keep = strcmp(word, "keep") ? 0 : (uint64_t)number;
        for (i = 0; i < rounds && i < ROUNDS_MAX && last < end; i++) {
            data[0] = received.next;
            publish(event, data, bytes);
            receive(library, selection, received.events + 1);
            now = now_ns();
            times[i] = now - last < UINT32_MAX ? (uint32_t)(now - last) : UINT32_MAX;
            last = now;
        }
        qsort(times, i, sizeof *times, by_value);
        answer("%u %u %llu", times[i / 2], times[i * 99 / 100],
               (unsigned long long)((last - begin) / i));
    }
    return 0;
}

/* pong: channels, subscriptions, bytes, hold. Sends back; the first `hold` are not freed. */
int role_pong(void)
{
    static uint64_t data[EVENT_BYTES_MAX / sizeof(uint64_t)];
    size_t bytes = (size_t)argument("bytes", 64);
    SaEvtHandleT library = library_open();
    SaSelectionObjectT selection;
    SaEvtEventHandleT event = ends_open(library, "back", "there", &selection);

    received.keep = (uint64_t)argument("hold", 0);
    answer("ready");
    for (;;) {
        receive(library, selection, received.events + 1);
        data[0] = received.next - 1;
        publish(event, data, bytes);
    }
}
