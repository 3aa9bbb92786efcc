/*
 * ZeroMQ PUB/SUB over ipc. The filter is a prefix of 16 bytes before the message. The bounds of
 * the queues are taken away, as PUB would drop at them; the window keeps the queues short. The
 * library collects messages into batches by itself.
 */
#include "common.h"

#include <zmq.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void *context, *publisher, *subscriber;
static const char *prefix;

static const char *version(void)
{
    static char text[32];
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

static void *new_socket(int type)
{
    int none = 0;
    if (context == NULL)
        context = zmq_ctx_new();
    must(context != NULL, "zmq_ctx_new");
    void *socket = zmq_socket(context, type);
    must(socket != NULL, "zmq_socket");
    must(zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none) == 0, "ZMQ_SNDHWM");
    must(zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none) == 0, "ZMQ_RCVHWM");
    must(zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) == 0, "ZMQ_LINGER");
    return socket;
}

static const char *address_of(int topic)
{
    static char address[200];
    snprintf(address, sizeof address, "ipc://%s/topic%d", options.place, topic);
    return address;
}

static void subscribe(int topic, int reader)
{
    (void)reader;
    subscriber = new_socket(ZMQ_SUB);
    must(zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, pattern_of[topic], PATTERN_BYTES) == 0,
         "ZMQ_SUBSCRIBE");
    must(zmq_connect(subscriber, address_of(topic)) == 0, "zmq_connect");
}

static void advertise(int topic)
{
    prefix = pattern_of[topic];
    publisher = new_socket(ZMQ_PUB);
    must(zmq_bind(publisher, address_of(topic)) == 0, "zmq_bind");
}

static void send_message(const void *message, size_t bytes)
{
    zmq_msg_t part;
    must(zmq_msg_init_size(&part, PATTERN_BYTES + bytes) == 0, "zmq_msg_init_size");
    memcpy(zmq_msg_data(&part), prefix, PATTERN_BYTES);
    memcpy((char *)zmq_msg_data(&part) + PATTERN_BYTES, message, bytes);
    while (zmq_msg_send(&part, publisher, 0) < 0)
        must(errno == EINTR, "zmq_msg_send");
}

static void receive(void)
{
    zmq_msg_t part;
    must(zmq_msg_init(&part) == 0, "zmq_msg_init");
    int bytes = zmq_msg_recv(&part, subscriber, 0);
    if (bytes < 0)
        must(errno == EINTR, "zmq_msg_recv");
    else if (bytes >= PATTERN_BYTES)
        arrived((char *)zmq_msg_data(&part) + PATTERN_BYTES, (size_t)bytes - PATTERN_BYTES);
    zmq_msg_close(&part);
}

const struct contestant contestant = {
    .name = "zeromq",
    .version = version,
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .receive = receive,
};
