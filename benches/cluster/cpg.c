/*
 * The limit: bare corosync CPG, one group, agreed order, no daemon of ours. --place has the files
 * of the nodes' network namespaces, separated by commas: that of who sends first, then the
 * readers'.
 */
#include "../contest/common.h"
#include "group.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sender is a member, so what it has sent comes to it too and has to be taken. */
enum { SENDS_BETWEEN_LOOKS = 32 };

static int readable = -1;
static uint32_t node;

static void on_message(uint64_t handle, const struct group_name *group, uint32_t from,
                       uint32_t process, void *message, size_t bytes)
{
    (void)handle, (void)group, (void)process;
    if (from != node)
        arrived(message, bytes);
}

static void on_change(uint64_t handle, const struct group_name *group,
                      const struct group_member *members, size_t members_number,
                      const struct group_member *left, size_t left_number,
                      const struct group_member *joined, size_t joined_number)
{
    (void)handle, (void)group, (void)members, (void)members_number, (void)left;
    (void)left_number, (void)joined, (void)joined_number;
}

static void go_to_node(int number)
{
    char group[64], *list = strdup(options.place), *space = NULL;

    if (readable >= 0 || list == NULL)
        return;
    for (int i = 0; i <= number; i++)
        space = strtok(i == 0 ? list : NULL, ",");
    if (space == NULL)
        fail("--place names no node %d", number);
    snprintf(group, sizeof group, "contest-%d", (int)getppid());
    group_join(space, group, on_message, on_change);
    readable = group_descriptor();
    node = group_node();
    free(list);
}

static void subscribe(int topic, int reader)
{
    (void)topic;
    go_to_node(reader + 1);
}

static void advertise(int topic)
{
    (void)topic;
    go_to_node(0);
}

static void send_message(const void *message, size_t bytes)
{
    static unsigned sent;
    struct pollfd entry = {.fd = readable, .events = POLLIN};

    while (!group_send(message, bytes)) {
        poll(&entry, 1, 1);
        group_hear();
    }
    if (options.task == TASK_STREAM && ++sent % SENDS_BETWEEN_LOOKS == 0)
        group_hear();
}

static void receive(void)
{
    struct pollfd entry = {.fd = readable, .events = POLLIN};

    if (poll(&entry, 1, -1) < 0)
        must(errno == EINTR, "poll");
    else
        group_hear();
}

const struct contestant contestant = {
    .name = "cpg",
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .receive = receive,
    .leave = group_leave,
};
