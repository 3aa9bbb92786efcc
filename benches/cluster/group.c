/* libcpg without its headers; see group.h. */
#define _GNU_SOURCE
#include "group.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CS_OK = 1, CS_ERR_TRY_AGAIN = 6 };
enum { CS_DISPATCH_ALL = 2 };
enum { CPG_MODEL_V1 = 1, CPG_TYPE_AGREED = 2 };

/* cpg_model_v1_data_t */
struct model {
    int number;
    group_deliver *deliver;
    group_change *change;
    void *ring;
    unsigned flags;
};

static struct {
    int (*initialize)(uint64_t *, int, struct model *, void *);
    int (*finalize)(uint64_t);
    int (*descriptor)(uint64_t, int *);
    int (*dispatch)(uint64_t, int);
    int (*join)(uint64_t, const struct group_name *);
    int (*multicast)(uint64_t, int, const struct iovec *, unsigned);
    int (*local)(uint64_t, unsigned *);
} cpg;

static uint64_t handle;

_Noreturn static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(int code, const char *function)
{
    char text[32];

    snprintf(text, sizeof text, "corosync error %d", code);
    if (code != CS_OK)
        give_up(function, text);
}

static void *function(void *library, const char *name)
{
    void *address = dlsym(library, name);

    if (address == NULL)
        give_up(name, dlerror());
    return address;
}

static void load(void)
{
    void *library = dlopen("libcpg.so.4", RTLD_NOW);

    if (library == NULL)
        give_up("libcpg", dlerror());
    *(void **)&cpg.initialize = function(library, "cpg_model_initialize");
    *(void **)&cpg.finalize = function(library, "cpg_finalize");
    *(void **)&cpg.descriptor = function(library, "cpg_fd_get");
    *(void **)&cpg.dispatch = function(library, "cpg_dispatch");
    *(void **)&cpg.join = function(library, "cpg_join");
    *(void **)&cpg.multicast = function(library, "cpg_mcast_joined");
    *(void **)&cpg.local = function(library, "cpg_local_get");
}

void group_join(const char *space, const char *name, group_deliver *deliver, group_change *change)
{
    struct model model = {.number = CPG_MODEL_V1, .deliver = deliver, .change = change};
    struct group_name group = {.length = (uint32_t)strlen(name)};
    int entry = open(space, O_RDONLY | O_CLOEXEC), code;

    if (entry < 0 || setns(entry, CLONE_NEWNET) != 0)
        give_up(space, strerror(errno));
    close(entry);
    load();
    strncpy(group.value, name, sizeof group.value - 1);
    check(cpg.initialize(&handle, CPG_MODEL_V1, &model, NULL), "cpg_model_initialize");
    while ((code = cpg.join(handle, &group)) == CS_ERR_TRY_AGAIN)
        usleep(1000);
    check(code, "cpg_join");
}

int group_descriptor(void)
{
    int descriptor;

    check(cpg.descriptor(handle, &descriptor), "cpg_fd_get");
    return descriptor;
}

uint32_t group_node(void)
{
    unsigned node;

    check(cpg.local(handle, &node), "cpg_local_get");
    return node;
}

int group_send(const void *message, size_t bytes)
{
    struct iovec part = {.iov_base = (void *)message, .iov_len = bytes};
    int code = cpg.multicast(handle, CPG_TYPE_AGREED, &part, 1);

    if (code == CS_ERR_TRY_AGAIN)
        return 0;
    check(code, "cpg_mcast_joined");
    return 1;
}

void group_hear(void)
{
    int code = cpg.dispatch(handle, CS_DISPATCH_ALL);

    if (code != CS_ERR_TRY_AGAIN)
        check(code, "cpg_dispatch");
}

void group_leave(void)
{
    cpg.finalize(handle);
}
