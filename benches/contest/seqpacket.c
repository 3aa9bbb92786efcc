/*
 * A limit: one pair of connected sockets for each reader, nothing else. The sender writes each
 * message to each; everybody waits by poll().
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2][READERS_MAX][2]; /* By topic, reader and direction: read, write. */
static int in, out_topic;
static unsigned char buffer[MESSAGE_BYTES_MAX];

static void prepare(void)
{
    for (int topic = 0; topic < 2; topic++)
        for (int i = 0; i < options.readers; i++) {
            int type = SOCK_SEQPACKET | SOCK_NONBLOCK;
            must(socketpair(AF_UNIX, type, 0, pair[topic][i]) == 0, "socketpair");
        }
}

static void subscribe(int topic, int reader)
{
    in = pair[topic][reader][0];
}

static void advertise(int topic)
{
    out_topic = topic;
}

static void wait_for(int descriptor, short what)
{
    struct pollfd entry = {.fd = descriptor, .events = what};
    must(poll(&entry, 1, -1) >= 0 || errno == EINTR, "poll");
}

static void send_message(const void *message, size_t bytes)
{
    for (int i = 0; i < options.readers; i++) {
        int out = pair[out_topic][i][1];
        while (send(out, message, bytes, 0) < 0) {
            must(errno == EAGAIN || errno == EINTR, "send");
            wait_for(out, POLLOUT);
        }
    }
}

static void receive(void)
{
    ssize_t bytes;
    wait_for(in, POLLIN);
    while ((bytes = recv(in, buffer, sizeof buffer, 0)) > 0) {
        arrived(buffer, (size_t)bytes);
        if (options.task == TASK_ECHO)
            return; /* There cannot be another. */
    }
    must(errno == EAGAIN || errno == EINTR, "recv");
}

const struct contestant contestant = {
    .name = "seqpacket",
    .prepare = prepare,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .receive = receive,
};
