/*
 * A limit: one pipe for each reader. Messages have one length, so the reader takes as many as
 * there are in one call; nobody polls.
 */
#include "common.h"

#include <errno.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 16 }; /* What a pipe holds unless told otherwise. */

static int ends[2][READERS_MAX][2];
static int in, out_topic;
static unsigned char buffer[2 * PIPE_BYTES];
static size_t filled;

static void prepare(void)
{
    for (int topic = 0; topic < 2; topic++)
        for (int i = 0; i < options.readers; i++)
            must(pipe(ends[topic][i]) == 0, "pipe");
}

static void subscribe(int topic, int reader)
{
    in = ends[topic][reader][0];
}

static void advertise(int topic)
{
    out_topic = topic;
}

static void send_message(const void *message, size_t bytes)
{
    for (int i = 0; i < options.readers; i++)
        for (size_t done = 0; done < bytes;) {
            const char *rest = (const char *)message + done;
            ssize_t written = write(ends[out_topic][i][1], rest, bytes - done);
            must(written >= 0 || errno == EINTR, "write");
            done += written > 0 ? (size_t)written : 0;
        }
}

static void receive(void)
{
    size_t taken = 0;
    ssize_t got = read(in, buffer + filled, PIPE_BYTES);
    must(got >= 0 || errno == EINTR, "read");
    filled += got > 0 ? (size_t)got : 0;
    for (; filled - taken >= options.bytes; taken += options.bytes)
        arrived(buffer + taken, options.bytes);
    filled -= taken;
    for (size_t i = 0; i < filled; i++)
        buffer[i] = buffer[taken + i];
}

const struct contestant contestant = {
    .name = "pipe",
    .prepare = prepare,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .receive = receive,
};
