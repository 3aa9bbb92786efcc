/*
 * A closed process group of corosync, by libcpg.so.4, which is loaded when it is asked for: nothing
 * of corosync is needed to compile. Names, layouts and numbers are those of corosync/cpg.h.
 */
#ifndef CLUSTER_GROUP_H
#define CLUSTER_GROUP_H

#include <stddef.h>
#include <stdint.h>

/* struct cpg_name */
struct group_name {
    uint32_t length;
    char value[128];
};

/* struct cpg_address */
struct group_member {
    uint32_t node, process, reason;
};

typedef void group_deliver(uint64_t handle, const struct group_name *group, uint32_t node,
                           uint32_t process, void *message, size_t bytes);
typedef void group_change(uint64_t handle, const struct group_name *group,
                          const struct group_member *members, size_t members_number,
                          const struct group_member *left, size_t left_number,
                          const struct group_member *joined, size_t joined_number);

/*
 * Goes to the network namespace in the file `space`, connects to the corosync there and joins a
 * group. The callbacks run in group_hear(). What fails ends the program with a line.
 */
void group_join(const char *space, const char *name, group_deliver *deliver, group_change *change);

/* A descriptor that is readable when something can be heard. */
int group_descriptor(void);

/* The number of this node. */
uint32_t group_node(void);

/* Sends to all members; 0: there is no room now. */
int group_send(const void *message, size_t bytes);

/* Calls back for all that has come, without waiting. */
void group_hear(void);

void group_leave(void);

#endif
