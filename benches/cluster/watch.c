/*
 * Tells when corosync reports a change: a line `CLOCK_MONOTONIC-NANOSECONDS MEMBERS LEFT` for each.
 *
 *     watch NETWORK-NAMESPACE
 */
#include "group.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>

static void on_message(uint64_t handle, const struct group_name *group, uint32_t from,
                       uint32_t process, void *message, size_t bytes)
{
    (void)handle, (void)group, (void)from, (void)process, (void)message, (void)bytes;
}

static void on_change(uint64_t handle, const struct group_name *group,
                      const struct group_member *members, size_t members_number,
                      const struct group_member *left, size_t left_number,
                      const struct group_member *joined, size_t joined_number)
{
    struct timespec now;

    (void)handle, (void)group, (void)members, (void)left, (void)joined, (void)joined_number;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%lld %zu %zu\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec, members_number,
           left_number);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct pollfd watched[2] = {{.fd = 0, .events = POLLIN}, {.events = POLLIN}};

    if (argc != 2)
        return 2;
    group_join(argv[1], "contest-watch", on_message, on_change);
    watched[1].fd = group_descriptor();
    /* The end of input is the end. */
    while (poll(watched, 2, -1) >= 0 && watched[0].revents == 0)
        group_hear();
    group_leave();
    return 0;
}
