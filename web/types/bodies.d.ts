/**
 * JSON bodies of the server, as far as the page reads them. Events of an analysis that an earlier version stored may
 * lack the optional fields. `tests/page/test_bodies.py` compares every field with the server's pydantic models.
 */

/** `[start, stop)` in seconds. */
export type Range = [number, number];

export interface VideoInfo {
  width: number;
  height: number;
  fps: number;
  duration: number;
  codec: string;
}

export interface PlannedChunk {
  chunk_index: number;
  start_time: number;
  end_time: number;
  num_frames: number;
}

export interface Plan {
  video_info: VideoInfo;
  num_chunks: number;
  chunk_duration: number;
  chunks: PlannedChunk[];
  notices: string[];
}

export interface ExpectedTime {
  basis: string;
}

export interface Estimate {
  plan: Plan;
  num_chunks: number;
  num_frames: number;
  effective_fps: number;
  visual_tokens: number;
  prompt_tokens: number;
  expected_seconds: number | null;
  expected: ExpectedTime;
}

export interface ChunkFailure {
  message: string;
}

/** A time that a chunk's answer gives. `start` and `stop` count code points of `response`. */
export interface ChunkTime {
  text: string;
  time: number;
  start: number;
  stop: number;
}

export interface ChunkResult {
  chunk_index: number;
  start_time: number;
  end_time: number;
  success: boolean;
  response: string | null;
  times: ChunkTime[];
  processing_time: number;
  decode_seconds: number;
  inference_seconds: number;
  queue_seconds: number;
  num_frames: number;
  missing_frames: number[];
  degraded: boolean;
  decode_reused: boolean;
  answer_reused: boolean;
  attempts: number;
  error: ChunkFailure | null;
}

export interface Coverage {
  frames_used: number;
  uncovered: Range[];
  notices: string[];
}

/** A time that the answer gives. `start` and `stop` count code points of `aggregated_response`. */
export interface Citation {
  text: string;
  time: number;
  supported: boolean;
  chunk_index: number | null;
  start: number;
  stop: number;
}

export interface PromptTokens {
  cached_tokens: number;
}

export interface Usage {
  prompt_tokens: number;
  prompt_tokens_details: PromptTokens;
}

export interface Result {
  success: boolean;
  video_info: VideoInfo;
  num_chunks: number;
  chunk_results: ChunkResult[];
  aggregated_response: string | null;
  citations: Citation[];
  aggregation_error: string | null;
  merge_seconds: number;
  coverage: Coverage;
  partial: boolean;
  total_successful_chunks: number;
  total_processing_time: number;
  usage: Usage;
}

export interface AnalysisProgress {
  chunks_done: number;
  num_chunks: number | null;
  merging: boolean;
}

export interface ErrorDetail {
  message: string;
  param: string | null;
}

export interface ErrorBody {
  error: ErrorDetail;
}

export type AnalysisStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

export interface AnalysisSummary {
  id: string;
  status: AnalysisStatus;
  created_at: number;
  prompt: string;
  video: string;
  file_id: string | null;
  progress: AnalysisProgress;
  error: ErrorDetail | null;
  metadata: Record<string, string>;
}

export interface StoredAnalysis extends AnalysisSummary {
  plan: Plan | null;
  chunk_results: ChunkResult[];
  result: Result | null;
}

export interface AnalysisList {
  data: AnalysisSummary[];
  last_id: string | null;
  has_more: boolean;
}

export interface DeletedAnalysis {
  id: string;
  deleted: true;
}

export interface StoredFile {
  id: string;
  filename: string;
}

export interface Model {
  id: string;
  notice: string | null;
}

export interface ModelList {
  data: Model[];
}

/** An event of an analysis. The first is `plan`; the last is `answer`, `error` or `cancelled`. */
export type AnalysisEvent =
  | { id: string | null; name: "plan"; data: Plan }
  | { id: string | null; name: "chunk"; data: ChunkResult }
  | { id: string | null; name: "progress"; data: { stage: "chunks" | "merging" } }
  | { id: string | null; name: "delta"; data: { text: string } }
  | { id: string | null; name: "answer"; data: Result }
  | { id: string | null; name: "error"; data: ErrorBody }
  | { id: string | null; name: "cancelled"; data: unknown };
