/* Load for the server, from one thread and one epoll: clients of /ws/stream that push JPEG frames
 * at a rate or as fast as they are acknowledged, idle WebSockets, readers of events, and one who
 * asks for its health. Loopback only, bounded in count and time; one JSON line at the end.
 *
 *   server_load push PORT CLIENTS FPS SECONDS text|binary JPEG...
 *   server_load flood PORT CLIENTS WINDOW SECONDS text|binary JPEG...
 *   server_load idle PORT CLIENTS SECONDS
 *   server_load read PORT SSE_READERS WS_READERS DEAF_READERS EVENTS_PER_SECOND SECONDS JPEG
 *   server_load health PORT PER_SECOND SECONDS
 *
 * Who pushes says hello first and asks that every frame be judged. Frames are masked with the key
 * 0, which is a valid one and costs this side nothing. Of push, "stalled" counts the clients that
 * went without a caption for a whole third of the time. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_CLIENTS = 20000, MAX_SECONDS = 7200, MAX_FLUSHES = 100000, READ = 1 << 16, THIRDS = 3 };

typedef enum { ROLE_PUSH, ROLE_IDLE, ROLE_SSE, ROLE_WS, ROLE_DEAF, ROLE_HEALTH } Role;

typedef struct {
  int fd;
  Role role;
  gboolean open, dead, writable_wanted;
  GByteArray *in;  /* what of a WebSocket frame or event has come */
  guint8 head[64]; /* of the message on its way: frame header and packet header, or JSON */
  gsize head_length, tail_length;
  const guint8 *body;
  gsize body_length, offset;
  const char *tail;
  gint64 due_us;
  guint32 sent;
  guint in_flight;
  guint next_event;           /* ROLE_SSE, ROLE_WS: captions read; ROLE_HEALTH: answers */
  gboolean captioned[THIRDS]; /* ROLE_PUSH: in each third of the time */
} Client;

typedef struct {
  GBytes *jpeg;
  GString *base64;
} Picture;

typedef struct {
  int epoll, port;
  gboolean binary;
  double fps;
  guint window;
  GPtrArray *clients;  /* of Client */
  GPtrArray *pictures; /* of Picture */
  GArray *flushes;     /* gint64: when each event was caused */
  GArray *latencies;   /* float, ms */
  guint64 sent, acked, captions, errors, late, lost;
  guint third; /* of the time */
} Load;

static gint64 now_us(void) {
  return g_get_monotonic_time();
}

static void fail(const char *what) {
  fprintf(stderr, "server_load: %s: %s\n", what, g_strerror(errno));
  exit(1);
}

/* ---- sending ---- */

static void want(Load *load, Client *client, gboolean writable) {
  if (client->writable_wanted == writable)
    return;
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = client};
  epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
  client->writable_wanted = writable;
}

static void lose(Load *load, Client *client) {
  if (client->dead)
    return;
  client->dead = TRUE;
  load->lost++;
  epoll_ctl(load->epoll, EPOLL_CTL_DEL, client->fd, NULL);
  close(client->fd);
}

static gsize left_of(const Client *client) {
  return client->head_length + client->body_length + client->tail_length - client->offset;
}

static void go_on_sending(Load *load, Client *client) {
  while (left_of(client) > 0) {
    struct iovec parts[3] = {{client->head, client->head_length},
                             {(void *)client->body, client->body_length},
                             {(void *)client->tail, client->tail_length}};
    gsize skip = client->offset;
    guint first = 0;
    while (skip >= parts[first].iov_len)
      skip -= parts[first++].iov_len;
    parts[first].iov_base = (guint8 *)parts[first].iov_base + skip;
    parts[first].iov_len -= skip;
    gssize n = writev(client->fd, parts + first, (int)(3 - first));
    if (n < 0 && errno == EAGAIN) {
      want(load, client, TRUE);
      return;
    }
    if (n < 0) {
      lose(load, client);
      return;
    }
    client->offset += (gsize)n;
  }
  want(load, client, FALSE);
}

/* A masked WebSocket frame's header; the mask is 0. */
static gsize frame_head(guint8 *out, guint opcode, gsize length) {
  gsize n = 2;
  out[0] = (guint8)(0x80 | opcode);
  if (length < 126) {
    out[1] = (guint8)(0x80 | length);
  } else if (length < 65536) {
    out[1] = 0x80 | 126;
    out[2] = (guint8)(length >> 8), out[3] = (guint8)length;
    n = 4;
  } else {
    out[1] = 0x80 | 127;
    for (guint i = 0; i < 8; i++)
      out[2 + i] = (guint8)((guint64)length >> (8 * (7 - i)));
    n = 10;
  }
  memset(out + n, 0, 4);
  return n + 4;
}

static void begin_binary(Client *client, const Picture *picture, double timestamp) {
  gsize length;
  client->body = g_bytes_get_data(picture->jpeg, &length);
  client->body_length = length;
  client->tail_length = 0;
  gsize n = frame_head(client->head, 2, 16 + length);
  guint32 id = htonl(client->sent), size = htonl((guint32)length);
  guint64 bits;
  memcpy(&bits, &timestamp, 8);
  bits = GUINT64_TO_BE(bits);
  memcpy(client->head + n, &id, 4);
  memcpy(client->head + n + 4, &bits, 8);
  memcpy(client->head + n + 12, &size, 4);
  client->head_length = n + 16;
}

/* {"type":"frame","image_base64":"...","frame_index":0000000001,"timestamp":...}: what changes is
 * at the end, so that the long part is shared by all clients. */
static void begin_text(Client *client, const Picture *picture, double timestamp) {
  static const char BEGIN[] = "{\"type\":\"frame\",\"image_base64\":\"";
  char *tail = (char *)client->tail;
  client->tail_length = (gsize)g_snprintf(tail, 128, "\",\"frame_index\":%u,\"timestamp\":%.6f}",
                                          client->sent, timestamp);
  client->body = (const guint8 *)picture->base64->str;
  client->body_length = picture->base64->len;
  gsize n =
      frame_head(client->head, 1, sizeof BEGIN - 1 + client->body_length + client->tail_length);
  memcpy(client->head + n, BEGIN, sizeof BEGIN - 1);
  client->head_length = n + sizeof BEGIN - 1;
}

static void send_frame(Load *load, Client *client) {
  const Picture *picture = load->pictures->pdata[client->sent % load->pictures->len];
  double timestamp = (double)g_get_real_time() / 1e6;
  if (load->binary)
    begin_binary(client, picture, timestamp);
  else
    begin_text(client, picture, timestamp);
  client->offset = 0;
  client->sent++;
  client->in_flight++;
  load->sent++;
  go_on_sending(load, client);
}

static void send_small(Load *load, Client *client, guint opcode, const char *text) {
  gsize length = strlen(text);
  guint8 bytes[256];
  gsize n = frame_head(bytes, opcode, length);
  memcpy(bytes + n, text, length);
  if (left_of(client) > 0 || write(client->fd, bytes, n + length) != (gssize)(n + length))
    load->errors++;
}

/* ---- receiving ---- */

static guint number_after(const char *text, const char *key, guint fallback) {
  const char *at = strstr(text, key);
  return at != NULL ? (guint)g_ascii_strtoull(at + strlen(key), NULL, 10) : fallback;
}

static void note_event(Load *load, Client *client) {
  load->captions++;
  if (client->next_event < load->flushes->len) {
    gint64 caused_us = g_array_index(load->flushes, gint64, client->next_event);
    float ms = (float)(now_us() - caused_us) / 1000;
    g_array_append_val(load->latencies, ms);
  }
  client->next_event++;
}

static void take_text(Load *load, Client *client, const char *text) {
  if (client->role == ROLE_WS) {
    if (strstr(text, "\"event\":\"caption\"") != NULL)
      note_event(load, client);
  } else if (strstr(text, "\"ack\"") != NULL) {
    guint n = number_after(text, "\"frames\":", 1);
    load->acked += n;
    client->in_flight -= MIN(n, client->in_flight);
  } else if (strstr(text, "\"type\":\"caption\"") != NULL) {
    load->captions++;
    client->captioned[load->third] = TRUE;
  } else if (strstr(text, "\"type\":\"error\"") != NULL) {
    if (load->errors++ == 0)
      fprintf(stderr, "server_load: %s\n", text);
  }
}

static gboolean take_frame(Load *load, Client *client) {
  GByteArray *in = client->in;
  if (in->len < 2)
    return FALSE;
  guint64 length = in->data[1] & 127;
  gsize head = 2;
  if (length == 126 && in->len >= 4)
    length = (guint64)in->data[2] << 8 | in->data[3], head = 4;
  else if (length == 127 && in->len >= 10) {
    length = 0, head = 10;
    for (guint i = 0; i < 8; i++)
      length = length << 8 | in->data[2 + i];
  } else if (length >= 126) {
    return FALSE;
  }
  if (in->len < head + length)
    return FALSE;
  g_autofree char *text = g_strndup((const char *)in->data + head, length);
  guint opcode = in->data[0] & 15;
  g_byte_array_remove_range(in, 0, (guint)(head + length));
  if (opcode == 1)
    take_text(load, client, text);
  else if (opcode == 9)
    send_small(load, client, 10, text);
  else if (opcode == 8)
    lose(load, client);
  return !client->dead;
}

/* Lines of server-sent events, in whatever chunks they come. */
static void take_events(Load *load, Client *client) {
  GByteArray *in = client->in;
  guint8 *end;
  while ((end = memchr(in->data, '\n', in->len)) != NULL) {
    gsize length = (gsize)(end - in->data);
    if (length >= 14 && memcmp(in->data, "event: caption", 14) == 0)
      note_event(load, client);
    g_byte_array_remove_range(in, 0, (guint)length + 1);
  }
}

/* Answers of a keep-alive connection, asked one at a time; a refusal is an error. */
static void take_answer(Load *load, Client *client) {
  GByteArray *in = client->in;
  if (in->len < 12 || memcmp(in->data + in->len - 1, "}", 1) != 0)
    return;
  if (memcmp(in->data, "HTTP/1.1 200", 12) != 0)
    load->errors++;
  g_byte_array_set_size(in, 0);
  note_event(load, client);
}

static void receive(Load *load, Client *client) {
  static guint8 bytes[READ];
  gssize n;
  while (!client->dead && (n = read(client->fd, bytes, sizeof bytes)) != 0) {
    if (n < 0 && errno == EAGAIN)
      return;
    if (n < 0)
      break;
    g_byte_array_append(client->in, bytes, (guint)n);
    if (client->role == ROLE_SSE)
      take_events(load, client);
    else if (client->role == ROLE_HEALTH)
      take_answer(load, client);
    else
      while (take_frame(load, client))
        ;
  }
  lose(load, client);
}

/* ---- connections ---- */

/* Reads the answer's head, byte by byte so that nothing behind it is taken. */
static void read_head(int fd, const char *wanted) {
  char answer[2048] = "";
  gsize length = 0;
  while (strstr(answer, "\r\n\r\n") == NULL && length < sizeof answer - 1) {
    if (read(fd, answer + length, 1) <= 0)
      fail("no answer");
    answer[++length] = '\0';
  }
  if (strstr(answer, wanted) == NULL) {
    fprintf(stderr, "server_load: refused: %s\n", answer);
    exit(1);
  }
}

static void ask(Load *load, Client *client, const char *target) {
  gboolean upgrade = client->role != ROLE_SSE && client->role != ROLE_DEAF;
  g_autofree char *request = g_strdup_printf(
      "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", target, load->port,
      upgrade ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              : "");
  if (write(client->fd, request, strlen(request)) < 0)
    fail("write");
  if (client->role != ROLE_DEAF)
    read_head(client->fd, upgrade ? " 101 " : " 200 ");
}

/* target NULL: nothing is asked yet. */
static Client *connect_one(Load *load, Role role, const char *target) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((guint16)load->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  Client *client = g_new0(Client, 1);
  int one = 1, small = 4096;
  client->role = role;
  client->in = g_byte_array_new();
  client->tail = g_malloc0(128);
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (role == ROLE_DEAF)
    setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0)
    fail("connect");
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (target != NULL)
    ask(load, client, target);
  fcntl(client->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = role == ROLE_DEAF ? 0 : EPOLLIN, .data.ptr = client};
  epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event);
  g_ptr_array_add(load->clients, client);
  return client;
}

static void load_pictures(Load *load, char **paths) {
  for (; *paths != NULL; paths++) {
    g_autoptr(GError) error = NULL;
    char *bytes;
    gsize length;
    if (!g_file_get_contents(*paths, &bytes, &length, &error)) {
      fprintf(stderr, "server_load: %s\n", error->message);
      exit(1);
    }
    Picture *picture = g_new0(Picture, 1);
    picture->jpeg = g_bytes_new_take(bytes, length);
    g_autofree char *text = g_base64_encode((const guint8 *)bytes, length);
    picture->base64 = g_string_new(text);
    g_ptr_array_add(load->pictures, picture);
  }
}

static void wait_events(Load *load, gint64 until_us) {
  struct epoll_event events[256];
  gint64 wait_us = until_us - now_us();
  int n = epoll_wait(load->epoll, events, 256, wait_us <= 0 ? 0 : (int)((wait_us + 999) / 1000));
  for (int i = 0; i < n; i++) {
    Client *client = events[i].data.ptr;
    if (!client->dead && (events[i].events & EPOLLOUT))
      go_on_sending(load, client);
    if (!client->dead && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
      receive(load, client);
  }
}

/* ---- what is asked for ---- */

/* Every frame is judged: none is left out by the rate. */
static void say_hello(Load *load, Client *client, const char *stream) {
  char text[192];
  g_snprintf(text, sizeof text, "{\"type\":\"hello\",\"binary\":%s,\"params\":{\"fps\":60}%s%s%s}",
             load->binary ? "true" : "false", stream != NULL ? ",\"stream\":\"" : "",
             stream != NULL ? stream : "", stream != NULL ? "\"" : "");
  send_small(load, client, 1, text);
}

static guint count_stalled(const Load *load) {
  guint stalled = 0;
  for (guint i = 0; i < load->clients->len; i++) {
    const Client *client = load->clients->pdata[i];
    gboolean all = TRUE;
    for (guint third = 0; third < THIRDS; third++)
      all = all && client->captioned[third];
    stalled += !all;
  }
  return stalled;
}

static gint by_size(gconstpointer a, gconstpointer b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double percentile(GArray *values, double part) {
  if (values->len == 0)
    return 0;
  return (double)g_array_index(values, float, (guint)(part * (values->len - 1)));
}

static void report(Load *load, const char *what, double seconds) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  g_array_sort(load->latencies, by_size);
  printf("{\"load\":\"%s\",\"clients\":%u,\"seconds\":%.2f,\"sent\":%" G_GUINT64_FORMAT
         ",\"acked\":%" G_GUINT64_FORMAT ",\"captions\":%" G_GUINT64_FORMAT
         ",\"late\":%" G_GUINT64_FORMAT ",\"errors\":%" G_GUINT64_FORMAT
         ",\"lost\":%" G_GUINT64_FORMAT ",\"stalled\":%u,\"samples\":%u,\"client_cpu_s\":%.2f"
         ",\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n",
         what, load->clients->len, seconds, load->sent, load->acked, load->captions, load->late,
         load->errors, load->lost, count_stalled(load), load->latencies->len,
         (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
         percentile(load->latencies, 0.5), percentile(load->latencies, 0.99),
         percentile(load->latencies, 1));
}

/* Each client at its own phase; one that is not ready when it is due leaves that frame out. */
static gint64 push_due(Load *load, gint64 now) {
  gint64 next_us = now + 100000, step_us = (gint64)(1e6 / load->fps);
  for (guint i = 0; i < load->clients->len; i++) {
    Client *client = load->clients->pdata[i];
    if (client->dead)
      continue;
    if (client->due_us <= now) {
      if (left_of(client) > 0)
        load->late++;
      else
        send_frame(load, client);
      client->due_us += step_us;
    }
    next_us = MIN(next_us, client->due_us);
  }
  return next_us;
}

static void run_push(Load *load, double seconds) {
  gint64 start_us = now_us(), end_us = start_us + (gint64)(seconds * 1e6);
  for (guint i = 0; i < load->clients->len; i++)
    ((Client *)load->clients->pdata[i])->due_us =
        start_us + (gint64)(1e6 / load->fps * i / load->clients->len);
  for (gint64 now = start_us; now < end_us; now = now_us()) {
    load->third = (guint)MIN((now - start_us) * THIRDS / (end_us - start_us), THIRDS - 1);
    wait_events(load, push_due(load, now));
  }
  for (gint64 grace = now_us() + G_USEC_PER_SEC; now_us() < grace;)
    wait_events(load, grace);
}

static void run_flood(Load *load, double seconds) {
  gint64 end_us = now_us() + (gint64)(seconds * 1e6);
  while (now_us() < end_us) {
    for (guint i = 0; i < load->clients->len; i++) {
      Client *client = load->clients->pdata[i];
      while (!client->dead && left_of(client) == 0 && client->in_flight < load->window)
        send_frame(load, client);
    }
    wait_events(load, now_us() + 100000);
  }
}

static void run_idle(Load *load, double seconds) {
  gint64 end_us = now_us() + (gint64)(seconds * 1e6);
  while (now_us() < end_us)
    wait_events(load, end_us);
}

/* A frame and a flush make one caption event. */
static void run_read(Load *load, Client *source, double rate, double seconds) {
  gint64 start_us = now_us(), end_us = start_us + (gint64)(seconds * 1e6), due_us = start_us;
  while (now_us() < end_us) {
    if (now_us() >= due_us && load->flushes->len < MAX_FLUSHES) {
      send_frame(load, source);
      gint64 caused_us = now_us();
      g_array_append_val(load->flushes, caused_us);
      send_small(load, source, 1, "{\"type\":\"flush\"}");
      due_us += (gint64)(1e6 / rate);
    }
    wait_events(load, due_us);
  }
  for (gint64 grace = now_us() + G_USEC_PER_SEC; now_us() < grace;)
    wait_events(load, grace);
}

/* Each time the answer before has come. */
static void run_health(Load *load, Client *client, double rate, double seconds) {
  static const char REQUEST[] = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  gint64 start_us = now_us(), end_us = start_us + (gint64)(seconds * 1e6), due_us = start_us;
  while (now_us() < end_us && !client->dead) {
    if (now_us() >= due_us && client->next_event == load->flushes->len &&
        load->flushes->len < MAX_FLUSHES) {
      gint64 asked_us = now_us();
      g_array_append_val(load->flushes, asked_us);
      load->sent++;
      if (write(client->fd, REQUEST, sizeof REQUEST - 1) != sizeof REQUEST - 1)
        load->errors++;
    }
    while (due_us <= now_us())
      due_us += (gint64)(1e6 / rate);
    wait_events(load, MIN(due_us, end_us));
  }
}

static guint count(const char *text, guint most) {
  guint64 value = g_ascii_strtoull(text, NULL, 10);
  if (value > most) {
    fprintf(stderr, "server_load: %s is more than %u\n", text, most);
    exit(2);
  }
  return (guint)value;
}

static void open_many(Load *load, guint n, Role role, const char *target) {
  for (guint i = 0; i < n; i++) {
    Client *client = connect_one(load, role, target);
    if (role == ROLE_PUSH)
      say_hello(load, client, NULL);
  }
}

static void pushing(Load *load, gboolean push, char **argv) {
  load->fps = g_ascii_strtod(argv[4], NULL);
  load->window = count(argv[4], 1000);
  load->binary = g_str_equal(argv[6], "binary");
  load_pictures(load, argv + 7);
  open_many(load, count(argv[3], MAX_CLIENTS), ROLE_PUSH, "/ws/stream");
  (push ? run_push : run_flood)(load, count(argv[5], MAX_SECONDS));
}

static void idling(Load *load, char **argv) {
  open_many(load, count(argv[3], MAX_CLIENTS), ROLE_IDLE, "/ws/stream");
  puts("ready");
  fflush(stdout);
  run_idle(load, count(argv[4], MAX_SECONDS));
}

static void reading(Load *load, char **argv) {
  load->binary = TRUE;
  load_pictures(load, argv + 8);
  Client *source = connect_one(load, ROLE_PUSH, "/ws/stream");
  say_hello(load, source, "load");
  for (gint64 until = now_us() + 500000; now_us() < until;)
    wait_events(load, until);
  open_many(load, count(argv[3], MAX_CLIENTS), ROLE_SSE, "/v1/streams/load/events");
  open_many(load, count(argv[4], MAX_CLIENTS), ROLE_WS, "/ws/events?stream=load");
  open_many(load, count(argv[5], MAX_CLIENTS), ROLE_DEAF, "/v1/streams/load/events");
  run_read(load, source, g_ascii_strtod(argv[6], NULL), count(argv[7], MAX_SECONDS));
}

int main(int argc, char **argv) {
  Load load = {.epoll = epoll_create1(EPOLL_CLOEXEC),
               .clients = g_ptr_array_new(),
               .pictures = g_ptr_array_new(),
               .flushes = g_array_new(FALSE, FALSE, sizeof(gint64)),
               .latencies = g_array_new(FALSE, FALSE, sizeof(float))};
  struct rlimit files = {MAX_CLIENTS + 64, MAX_CLIENTS + 64};
  setrlimit(RLIMIT_NOFILE, &files);
  const char *what = argc > 2 ? argv[1] : "";
  load.port = argc > 2 ? (int)count(argv[2], 65535) : 0;
  gboolean push = g_str_equal(what, "push");
  gint64 start_us = now_us();
  if ((push || g_str_equal(what, "flood")) && argc > 7) {
    pushing(&load, push, argv);
  } else if (g_str_equal(what, "idle") && argc == 5) {
    idling(&load, argv);
  } else if (g_str_equal(what, "read") && argc == 9) {
    reading(&load, argv);
  } else if (g_str_equal(what, "health") && argc == 5) {
    run_health(&load, connect_one(&load, ROLE_HEALTH, NULL), g_ascii_strtod(argv[3], NULL),
               count(argv[4], MAX_SECONDS));
  } else {
    fputs("usage: server_load push|flood|idle|read|health PORT ...\n", stderr);
    return 2;
  }
  report(&load, what, (double)(now_us() - start_us) / 1e6);
  return 0;
}
