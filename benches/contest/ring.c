/*
 * A limit: rings in shared memory and nothing around them. A message is copied in and copied out;
 * who finds nothing to do sleeps on an eventfd and is woken by the next message.
 *
 *   --variant direct   one ring for each reader, written by the sender
 *   --variant broker   one ring to a process that copies to the rings of the readers, in batches
 */
#include "common.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RING_BYTES = 1 << 20, BATCH = 256, UNIT = 64 };

struct bell {
    _Alignas(128) atomic_uint asleep;
    int descriptor;
};

struct ring {
    _Alignas(128) atomic_ulong written; /* Counts of messages, as all positions here. */
    _Alignas(128) atomic_ulong taken;
    struct bell room; /* For the writer; the reader's is `data`. */
    struct bell *data;
    unsigned long filled;        /* The writer's own: `written` plus what is not shown yet. */
    unsigned long seen_taken;
    _Alignas(128) unsigned char slots[RING_BYTES];
};

static struct place {
    struct ring to_broker[2];
    struct ring to_reader[2][READERS_MAX];
    struct bell broker;
    struct bell reader[2][READERS_MAX];
} *place;

static size_t slot_bytes;
static unsigned long slots;
static struct ring *in;
static int out_topic;
static bool is_direct;
static unsigned char buffer[MESSAGE_BYTES_MAX];

static void make_bell(struct bell *bell)
{
    bell->descriptor = eventfd(0, 0);
    must(bell->descriptor >= 0, "eventfd");
}

static void make_ring(struct ring *ring, struct bell *data)
{
    ring->data = data;
    make_bell(&ring->room);
}

static void prepare(void)
{
    is_direct = strcmp(options.variant, "broker") != 0;
    slot_bytes = (options.bytes + UNIT - 1) / UNIT * UNIT;
    slots = RING_BYTES / slot_bytes;
    place = mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(place != MAP_FAILED, "mmap");
    make_bell(&place->broker);
    for (int topic = 0; topic < 2; topic++) {
        make_ring(&place->to_broker[topic], &place->broker);
        for (int i = 0; i < options.readers; i++) {
            make_bell(&place->reader[topic][i]);
            make_ring(&place->to_reader[topic][i], &place->reader[topic][i]);
        }
    }
}

static void wake(struct bell *bell)
{
    uint64_t one = 1;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&bell->asleep, memory_order_relaxed) != 0 &&
        atomic_exchange(&bell->asleep, 0) != 0)
        must(write(bell->descriptor, &one, sizeof one) == sizeof one, "write to an eventfd");
}

/* After `asleep` was set and nothing was found to do. */
static void sleep_on(struct bell *bell)
{
    uint64_t count;
    if (read(bell->descriptor, &count, sizeof count) < 0)
        must(errno == EINTR, "read of an eventfd");
}

static bool is_full(struct ring *ring)
{
    if (ring->filled - ring->seen_taken < slots)
        return false;
    ring->seen_taken = atomic_load(&ring->taken);
    return ring->filled - ring->seen_taken >= slots;
}

static void show(struct ring *ring)
{
    if (atomic_load_explicit(&ring->written, memory_order_relaxed) == ring->filled)
        return;
    atomic_store_explicit(&ring->written, ring->filled, memory_order_release);
    wake(ring->data);
}

static void put(struct ring *ring, const void *message)
{
    while (is_full(ring)) {
        show(ring);
        atomic_store(&ring->room.asleep, 1);
        if (is_full(ring) && !must_leave())
            sleep_on(&ring->room);
        atomic_store(&ring->room.asleep, 0);
    }
    memcpy(ring->slots + ring->filled % slots * slot_bytes, message, options.bytes);
    ring->filled++;
}

/* Gives room back; a writer that sleeps is woken when half of the ring is free. */
static void give_back(struct ring *ring, unsigned long taken)
{
    atomic_store_explicit(&ring->taken, taken, memory_order_release);
    if (atomic_load(&ring->written) - taken <= slots / 2)
        wake(&ring->room);
}

/* Hands out what is there, in pieces of a quarter of the ring. */
static bool take(struct ring *ring, void (*use)(int topic, const void *message), int topic)
{
    unsigned long taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    unsigned long end = atomic_load_explicit(&ring->written, memory_order_acquire);
    unsigned long piece = slots / 4 < BATCH ? slots / 4 : BATCH;

    if (taken == end)
        return false;
    end = end - taken > piece ? taken + piece : end;
    for (; taken < end; taken++)
        use(topic, ring->slots + taken % slots * slot_bytes);
    give_back(ring, end);
    return true;
}

static void use_message(int topic, const void *message)
{
    (void)topic;
    memcpy(buffer, message, options.bytes);
    arrived(buffer, options.bytes);
}

static void pass_on(int topic, const void *message)
{
    for (int i = 0; i < options.readers; i++)
        put(&place->to_reader[topic][i], message);
}

static bool broker_turn(void)
{
    bool has_worked = false;
    for (int topic = 0; topic < 2; topic++) {
        if (!take(&place->to_broker[topic], pass_on, topic))
            continue;
        for (int i = 0; i < options.readers; i++)
            show(&place->to_reader[topic][i]);
        has_worked = true;
    }
    return has_worked;
}

static void broker(void)
{
    while (!is_direct) {
        if (broker_turn())
            continue;
        atomic_store(&place->broker.asleep, 1);
        if (!broker_turn())
            sleep_on(&place->broker);
        atomic_store(&place->broker.asleep, 0);
    }
    for (;;)
        pause();
}

static void subscribe(int topic, int reader)
{
    in = &place->to_reader[topic][reader];
}

static void advertise(int topic)
{
    out_topic = topic;
}

static void send_message(const void *message, size_t bytes)
{
    (void)bytes;
    if (is_direct) {
        for (int i = 0; i < options.readers; i++) {
            put(&place->to_reader[out_topic][i], message);
            show(&place->to_reader[out_topic][i]);
        }
    } else {
        put(&place->to_broker[out_topic], message);
        show(&place->to_broker[out_topic]);
    }
}

static void receive(void)
{
    if (take(in, use_message, 0))
        return;
    atomic_store(&in->data->asleep, 1);
    if (!take(in, use_message, 0) && !must_leave())
        sleep_on(in->data);
    atomic_store(&in->data->asleep, 0);
}

const struct contestant contestant = {
    .name = "ring",
    .prepare = prepare,
    .broker = broker,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .receive = receive,
};
