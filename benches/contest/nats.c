/*
 * NATS core through libnats: publishing into the library's buffer, which its own thread sends;
 * receiving in a callback. In an echo messages are sent at once.
 */
#include "common.h"

#include <nats/nats.h>

static natsConnection *connection;
static natsSubscription *subscription;
static const char *subject;

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK)
        fail("%s: %s", what, natsStatus_GetText(status));
}

static const char *version(void)
{
    return nats_GetVersion();
}

static void connect_once(void)
{
    natsOptions *settings;
    if (connection != NULL)
        return;
    check(natsOptions_Create(&settings), "natsOptions_Create");
    check(natsOptions_SetURL(settings, options.place), "natsOptions_SetURL");
    if (options.task == TASK_ECHO)
        check(natsOptions_SetSendAsap(settings, true), "natsOptions_SetSendAsap");
    check(natsConnection_Connect(&connection, settings), "natsConnection_Connect");
    natsOptions_Destroy(settings);
}

static void on_message(natsConnection *from, natsSubscription *by, natsMsg *message, void *closure)
{
    (void)from, (void)by, (void)closure;
    arrived(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

static void subscribe(int topic, int reader)
{
    (void)reader;
    connect_once();
    check(natsConnection_Subscribe(&subscription, connection, pattern_of[topic], on_message,
                                   NULL),
          "natsConnection_Subscribe");
    check(natsSubscription_SetPendingLimits(subscription, -1, -1), "SetPendingLimits");
    check(natsConnection_Flush(connection), "natsConnection_Flush");
}

static void advertise(int topic)
{
    connect_once();
    subject = pattern_of[topic];
}

static void send_message(const void *message, size_t bytes)
{
    check(natsConnection_Publish(connection, subject, message, (int)bytes),
          "natsConnection_Publish");
}

/* Only when a window is at its end: otherwise the library's thread sends in its own time. */
static void flush(void)
{
    if (options.task == TASK_STREAM)
        check(natsConnection_Flush(connection), "natsConnection_Flush");
}

const struct contestant contestant = {
    .name = "nats",
    .version = version,
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .flush = flush,
    .receive = wait_beside_thread,
};
