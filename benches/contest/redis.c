/*
 * Redis PUBLISH and SUBSCRIBE through hiredis on a unix socket. Commands are sent in batches, and
 * the answers to a batch are read after the next one was sent.
 */
#include "common.h"

#include <hiredis/hiredis.h>

#include <stdio.h>

enum { BATCH_BYTES = 1 << 14, BATCH_MESSAGES = 64 };

static redisContext *out, *in;
static const char *channel;
static unsigned unanswered, answers_of_batch;
static size_t unsent_bytes;

static const char *version(void)
{
    static char text[32];
    snprintf(text, sizeof text, "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    return text;
}

static redisContext *connect_to_server(void)
{
    redisContext *context = redisConnectUnix(options.place);
    if (context == NULL || context->err != 0)
        fail("redisConnectUnix: %s", context != NULL ? context->errstr : "no memory");
    return context;
}

static void subscribe(int topic, int reader)
{
    (void)reader;
    in = connect_to_server();
    redisReply *reply = redisCommand(in, "SUBSCRIBE %s", pattern_of[topic]);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        fail("SUBSCRIBE: %s", in->errstr);
    freeReplyObject(reply);
}

static void advertise(int topic)
{
    channel = pattern_of[topic];
    out = connect_to_server();
}

static void read_answers(unsigned number)
{
    for (; number > 0; number--, unanswered--) {
        redisReply *reply;
        if (redisGetReply(out, (void **)&reply) != REDIS_OK || reply->type != REDIS_REPLY_INTEGER)
            fail("PUBLISH: %s", out->errstr);
        freeReplyObject(reply);
    }
}

static void flush(void)
{
    int is_done = 0;
    while (is_done == 0)
        if (redisBufferWrite(out, &is_done) != REDIS_OK)
            fail("redisBufferWrite: %s", out->errstr);
    read_answers(answers_of_batch);
    answers_of_batch = unanswered;
    unsent_bytes = 0;
}

static void send_message(const void *message, size_t bytes)
{
    const char *words[] = {"PUBLISH", channel, message};
    const size_t lengths[] = {7, PATTERN_BYTES, bytes};
    if (redisAppendCommandArgv(out, 3, words, lengths) != REDIS_OK)
        fail("redisAppendCommandArgv: %s", out->errstr);
    unanswered++;
    unsent_bytes += bytes;
    if (unsent_bytes >= BATCH_BYTES || unanswered - answers_of_batch >= BATCH_MESSAGES)
        flush();
}

static void receive(void)
{
    void *any;
    if (redisBufferRead(in) != REDIS_OK)
        fail("redisBufferRead: %s", in->errstr);
    while (redisReaderGetReply(in->reader, &any) == REDIS_OK && any != NULL) {
        redisReply *reply = any;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
            fail("a reply that is no message");
        arrived(reply->element[2]->str, (size_t)reply->element[2]->len);
        freeReplyObject(reply);
    }
}

const struct contestant contestant = {
    .name = "redis",
    .version = version,
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .flush = flush,
    .receive = receive,
};
