/*
 * iceoryx2: samples are loaned, filled and sent without a further copy, and read where they are. An
 * event tells the reader to look: --variant N notifies after every N samples and when the sender
 * waits. peers/iceoryx2 has the calls.
 */
#include "common.h"

#include <stdlib.h>

void iceoryx2_subscribe(const char *place, const char *pattern, size_t bytes, size_t queue);
void iceoryx2_advertise(const char *place, const char *pattern, size_t bytes, size_t queue,
                        unsigned samples_per_event);
void iceoryx2_send(const void *message, size_t bytes);
void iceoryx2_flush(void);
void iceoryx2_receive(void);
void iceoryx2_leave(void);

enum { GREETINGS = 64 }; /* Room for those, beyond the window. */

static void subscribe(int topic, int reader)
{
    (void)reader;
    iceoryx2_subscribe(options.place, pattern_of[topic], options.bytes, options.window + GREETINGS);
}

static void advertise(int topic)
{
    iceoryx2_advertise(options.place, pattern_of[topic], options.bytes, options.window + GREETINGS,
                       (unsigned)atoi(options.variant));
}

const struct contestant contestant = {
    .name = "iceoryx2",
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = iceoryx2_send,
    .flush = iceoryx2_flush,
    .receive = iceoryx2_receive,
    .leave = iceoryx2_leave,
};
