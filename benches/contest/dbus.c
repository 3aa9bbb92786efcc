/*
 * Signals through a D-Bus daemon with libdbus. The match rule names the first argument exactly;
 * the second is the message as bytes. The sender lets some signals collect before it writes.
 */
#include "common.h"

#include <dbus/dbus.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>

enum { COLLECTED_BYTES = 1 << 16 };

static DBusConnection *connection;
static const char *pattern;

static const char *version(void)
{
    static char text[32];
    int major, minor, micro;
    dbus_get_version(&major, &minor, &micro);
    snprintf(text, sizeof text, "libdbus %d.%d.%d", major, minor, micro);
    return text;
}

static void connect_once(void)
{
    DBusError error = DBUS_ERROR_INIT;
    if (connection != NULL)
        return;
    connection = dbus_connection_open_private(options.place, &error);
    if (connection == NULL || !dbus_bus_register(connection, &error))
        fail("D-Bus: %s", error.message);
    dbus_connection_set_exit_on_disconnect(connection, FALSE);
}

static void subscribe(int topic, int reader)
{
    char rule[200];
    DBusError error = DBUS_ERROR_INIT;
    (void)reader;
    connect_once();
    snprintf(rule, sizeof rule, "type='signal',interface='contest.Event',arg0='%s'",
             pattern_of[topic]);
    dbus_bus_add_match(connection, rule, &error);
    if (dbus_error_is_set(&error))
        fail("%s: %s", rule, error.message);
}

static void advertise(int topic)
{
    connect_once();
    pattern = pattern_of[topic];
}

static void flush(void)
{
    dbus_connection_flush(connection);
}

static void send_message(const void *message, size_t bytes)
{
    DBusMessage *signal = dbus_message_new_signal("/contest", "contest.Event", "Event");
    must(signal != NULL &&
             dbus_message_append_args(signal, DBUS_TYPE_STRING, &pattern, DBUS_TYPE_ARRAY,
                                      DBUS_TYPE_BYTE, &message, (int)bytes, DBUS_TYPE_INVALID) &&
             dbus_connection_send(connection, signal, NULL),
         "a signal");
    dbus_message_unref(signal);
    if (dbus_connection_get_outgoing_size(connection) >= COLLECTED_BYTES)
        flush();
}

static void take(DBusMessage *signal)
{
    const char *name;
    const void *bytes;
    int number;
    if (dbus_message_is_signal(signal, "contest.Event", "Event")) {
        if (!dbus_message_get_args(signal, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_ARRAY,
                                   DBUS_TYPE_BYTE, &bytes, &number, DBUS_TYPE_INVALID))
            fail("a signal without its arguments");
        arrived(bytes, (size_t)number);
    }
    dbus_message_unref(signal);
}

static void receive(void)
{
    DBusMessage *signal;
    struct pollfd entry = {.events = POLLIN};
    if (!dbus_connection_get_unix_fd(connection, &entry.fd))
        fail("the connection has ended");
    if (poll(&entry, 1, -1) < 0) {
        must(errno == EINTR, "poll");
        return;
    }
    if (!dbus_connection_read_write(connection, 0))
        fail("the daemon has closed the connection");
    while ((signal = dbus_connection_pop_message(connection)) != NULL)
        take(signal);
}

const struct contestant contestant = {
    .name = "dbus",
    .version = version,
    .may_drop = true,
    .subscribe = subscribe,
    .advertise = advertise,
    .send = send_message,
    .flush = flush,
    .receive = receive,
};
