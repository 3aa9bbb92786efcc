/*
 * zenoh, peer to peer over a unix socket. Congestion control is "block", so nothing is dropped;
 * in an echo messages are "express", that is, not collected into batches. peers/zenoh has the
 * calls.
 */
#include "common.h"

void zenoh_subscribe(const char *place, const char *pattern);
void zenoh_advertise(const char *place, const char *pattern, bool express);
void zenoh_send(const void *message, size_t bytes);
void zenoh_leave(void);

static void subscribe(int topic, int reader)
{
    (void)reader;
    zenoh_subscribe(options.place, pattern_of[topic]);
}

static void advertise(int topic)
{
    zenoh_advertise(options.place, pattern_of[topic], options.task == TASK_ECHO);
}

const struct contestant contestant = {
    .name = "zenoh",
    .subscribe = subscribe,
    .advertise = advertise,
    .send = zenoh_send,
    .receive = wait_beside_thread,
    .leave = zenoh_leave,
};
