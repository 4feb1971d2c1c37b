#include "media/source_priv.h"

void mnk_ready_free(MnkReady *ready) {
  if (!ready)
    return;
  mnk_frame_unref(ready->frame);
  mnk_audio_free(ready->audio);
  g_free(ready);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkReady, mnk_ready_free)

/* ---- Open and close ---- */

/* An address without the user name and password that it may hold. */
static char *name_of(const MnkSourceConfig *config) {
  const char *address = config->address ? config->address : "";
  gboolean network = config->kind == MNK_SOURCE_RTSP || config->kind == MNK_SOURCE_HTTP;
  return network ? mnk_url_redacted(address) : g_strdup(address);
}

MnkSource *mnk_source_open(const MnkSourceConfig *config, GError **error) {
  g_return_val_if_fail(config && config->fps > 0, NULL);
  mnk_av_setup();
  g_autoptr(MnkSource) source = g_new0(MnkSource, 1);
  source->config = *config;
  source->address = g_strdup(config->address ? config->address : "");
  source->config.address = source->address;
  source->name = name_of(config);
  source->clock = mnk_clock_ref(config->clock ? config->clock : mnk_clock_system());
  source->interrupt.stopped = config->stop ? config->stop : &source->own_stop;
  source->packet = av_packet_alloc();
  source->video = source->audio = -1;
  source->wanted_us = source->until_us = MNK_NO_TIME;
  source->raw_last_us = source->raw_end_us = MNK_NO_TIME;
  g_queue_init(&source->ready);
  mnk_sampler_init(&source->sampler, config->fps);

  MnkOutbound *before = mnk_outbound_set(&source->outbound);
  gboolean ok =
      config->kind == MNK_SOURCE_FILE ? mnk_file_open(source, error) : mnk_live_open(source, error);
  mnk_outbound_set(before);
  return ok ? g_steal_pointer(&source) : NULL;
}

void mnk_source_free(MnkSource *source) {
  if (!source)
    return;
  MnkOutbound *before = mnk_outbound_set(&source->outbound);
  mnk_input_close(source);
  mnk_outbound_set(before);
  mnk_address_policy_unref(source->policy);
  g_clear_error(&source->outbound.refused);
  g_clear_pointer(&source->io, mnk_fd_io_free);
  mnk_sampler_clear(&source->sampler);
  g_queue_clear_full(&source->ready, (GDestroyNotify)mnk_ready_free);
  av_packet_free(&source->packet);
  g_clear_error(&source->failure);
  mnk_clock_unref(source->clock);
  g_free(source->address);
  g_free(source->name);
  g_free(source);
}

/* ---- Read ---- */

gboolean mnk_source_is_stopped(const MnkSource *source) {
  return g_atomic_int_get(source->interrupt.stopped) != 0;
}

void mnk_source_fail(MnkSource *source, MnkErrorCode code, const char *format, ...) {
  if (source->failure)
    return;
  va_list arguments;
  va_start(arguments, format);
  source->failure = g_error_new_valist(MNK_ERROR, code, format, arguments);
  va_end(arguments);
}

static MnkReadStatus stopped(GError **error) {
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CANCELLED, "Stopped");
  return MNK_READ_ERROR;
}

/* Waits until the stream's clock, started with the first item, has come to this one. FALSE:
 * stopped. */
static gboolean pace(MnkSource *source, const MnkReady *ready) {
  if (!source->config.realtime || source->info.live)
    return TRUE;
  gint64 pts_ms = ready->frame ? ready->frame->pts_ms : ready->audio->pts_ms;
  if (!source->pacing) {
    source->pacing = TRUE;
    source->pace_mono_us = mnk_clock_mono_us(source->clock);
    source->pace_pts_ms = pts_ms;
  }
  gint64 at_us = source->pace_mono_us + (pts_ms - source->pace_pts_ms) * 1000;
  if (!mnk_clock_sleep_until(source->clock, at_us, source->interrupt.stopped))
    return FALSE;
  if (ready->frame)
    ready->frame->arrival_us = mnk_clock_wall_us(source->clock);
  return TRUE;
}

static MnkReadStatus hand_out(MnkSource *source, MnkReady *ready, MnkFrame **frame,
                              MnkAudio **audio, GError **error) {
  g_autoptr(MnkReady) owned = ready;
  if (owned->status == MNK_READ_GAP) {
    source->gap_start_ms = owned->start_ms;
    source->gap_end_ms = owned->end_ms;
    return MNK_READ_GAP;
  }
  if (!pace(source, owned))
    return stopped(error);
  if (owned->frame)
    *frame = g_steal_pointer(&owned->frame);
  else
    *audio = g_steal_pointer(&owned->audio);
  return owned->status;
}

static void step(MnkSource *source) {
  MnkOutbound *before = mnk_outbound_set(&source->outbound);
  if (source->config.kind == MNK_SOURCE_FILE)
    mnk_file_step(source);
  else
    mnk_live_step(source);
  mnk_outbound_set(before);
}

MnkReadStatus mnk_source_read(MnkSource *source, MnkFrame **frame, MnkAudio **audio,
                              GError **error) {
  g_return_val_if_fail(source && frame && audio, MNK_READ_ERROR);
  *frame = NULL;
  *audio = NULL;
  for (;;) {
    if (mnk_source_is_stopped(source))
      return stopped(error);
    MnkReady *ready = g_queue_pop_head(&source->ready);
    if (ready)
      return hand_out(source, ready, frame, audio, error);
    if (source->failure) {
      g_propagate_error(error, g_error_copy(source->failure));
      return MNK_READ_ERROR;
    }
    if (source->ended)
      return MNK_READ_END;
    step(source);
  }
}

/* ---- Asides ---- */

const MnkSourceInfo *mnk_source_info(const MnkSource *source) {
  return &source->info;
}

void mnk_source_last_gap(const MnkSource *source, gint64 *start_ms, gint64 *end_ms) {
  *start_ms = source->gap_start_ms;
  *end_ms = source->gap_end_ms;
}

void mnk_source_interrupt(MnkSource *source) {
  g_atomic_int_set(source->interrupt.stopped, 1);
}

void mnk_source_set_fps(MnkSource *source, double fps) {
  g_return_if_fail(fps > 0);
  source->config.fps = source->sampler.fps = fps;
  if (!source->plan)
    return;
  if (source->config.kind != MNK_SOURCE_FILE)
    mnk_plan_set(source->plan, source->mode, fps, MNK_NO_TIME);
  else if (!source->ended && !source->failure)
    mnk_file_change_mode(source);
}

void mnk_source_counters(const MnkSource *source, MnkSourceCounters *out) {
  *out = source->counters;
  out->times_repaired = source->timeline.repaired;
  out->times_dropped = source->timeline.dropped;
  out->decode_us = source->decode_us + (source->decoder ? mnk_decoder_cpu_us(source->decoder) : 0);
}
