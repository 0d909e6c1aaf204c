# Faults planted in the real kernels: copies of a source in which one place is another, in a namespace
# of their own, with row.h in its place, so that a fault may be there. Sets `planted` to the sources. Each fault is expected by name in faults_test.cpp.
set(planted)

function(troupe_plant name file from to)
  set(source ${PROJECT_SOURCE_DIR}/kernels/cuda/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  set(row ${PROJECT_SOURCE_DIR}/kernels/cuda/row.h)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${row})
  file(READ ${row} row_text)
  string(REPLACE "#pragma once" "" row_text "${row_text}")
  string(REPLACE "#include \"kernels/cuda/row.h\"" "${row_text}" text "${text}")
  string(REPLACE "${from}" "" without "${text}")
  string(LENGTH "${text}" length)
  string(LENGTH "${without}" length_without)
  string(LENGTH "${from}" length_from)
  math(EXPR places "(${length} - ${length_without}) / ${length_from}")
  if(NOT places EQUAL 1)
    message(FATAL_ERROR "the fault ${name} belongs at ${places} places of ${file}, not at one: "
      "say in tests/kernels/cuda/planted.cmake where it goes now")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  string(REPLACE "namespace troupe::kernels::cuda {" "namespace troupe::kernels::cuda::${name} {"
    text "${text}")
  set(to_file ${CMAKE_CURRENT_BINARY_DIR}/planted/${name}.cu)
  file(CONFIGURE OUTPUT ${to_file} CONTENT "${text}" @ONLY)
  set(planted ${planted} ${to_file} PARENT_SCOPE)
endfunction()

troupe_plant(norm_without_barrier rmsnorm.cu "  sync_block(place);\n" "")
troupe_plant(norm_past_its_partials rmsnorm.cu "partials[warp] = sum" "partials[warp + 1] = sum")
troupe_plant(norm_shuffle_of_some rmsnorm.cu "  sum = warp_sum(sum, place);"
  "  if (sum > 0) sum = warp_sum(sum, place);")
troupe_plant(norm_two_barriers rmsnorm.cu "  sync_block(place);\n" "  if (warp == 0) {\n    \
sync_block();\n  } else {\n    sync_block();\n  }\n")
troupe_plant(norm_past_the_row rmsnorm.cu "is_aligned && d + 4 <= D" "is_aligned")
troupe_plant(norm_one_row rmsnorm.cu "at(args.rstd)[n] = rstd" "at(args.rstd)[0] = rstd")
troupe_plant(product_without_wait product.cu "    copy_wait<kStages - 2>();\n" "")
troupe_plant(product_waits_for_too_few product.cu "copy_wait<kStages - 2>" "copy_wait<kStages - 1>")
troupe_plant(product_without_barrier product.cu
  "    sync_block();  // All copies of this step have come, and the stage before it is free.\n" "")
troupe_plant(product_wrong_stage product.cu "const uint16_t* x_tile = tiles + step % kStages *"
  "const uint16_t* x_tile = tiles + (step % kStages + 1) *")
troupe_plant(product_without_tail product.cu "if (m >= rows.end) return copy"
  "if (m > rows.end) return copy")
troupe_plant(product_writes_too_much product.cu "if (m >= rows.end || n >= args.w.rows) return"
  "if (m >= rows.end) return")
troupe_plant(product_misaligned product.cu "copy_chunk(stage + copies[i].to,"
  "copy_chunk(stage + copies[i].to + 4,")
troupe_plant(query_without_heads mla_query.cu "bf16_at(args.nope) + head * args.nope_dim"
  "bf16_at(args.nope) + n * args.nope_dim")
troupe_plant(query_too_wide mla_query.cu "i < args.nope_dim; i += kWarp) nope[i]"
  "i <= args.nope_dim; i += kWarp) nope[i]")
troupe_plant(query_gradient_of_the_next mla_query.cu "to_bf16(dnope[i])" "to_bf16(dnope[i + 1])")
troupe_plant(latent_one_slot mla_latent.cu "static_cast<int64_t>(at(args.slot)[n])"
  "static_cast<int64_t>(at(args.slot)[0])")
troupe_plant(latent_past_the_row mla_latent.cu "i < P; i += 2 * kRowThreads) {\n    const Pair turned = rotated("
  "i <= P; i += 2 * kRowThreads) {\n    const Pair turned = rotated(")
troupe_plant(latent_gradient_of_the_padding mla_latent.cu "rotated_back({dlatent[R + i],"
  "rotated_back({dlatent[R + i + P],")
troupe_plant(latent_gradient_past_its_columns mla_latent.cu "is_inside = d < args.R"
  "is_inside = d <= args.R")
troupe_plant(heads_past_the_last head_rows.cu
  "  if (h >= args.H) return;\n  const int d = static_cast<int>(args.d);\n  const int64_t head = n * args.H + h;\n  const int64_t row"
  "  const int d = static_cast<int>(args.d);\n  const int64_t head = n * args.H + h;\n  const int64_t row")
troupe_plant(heads_in_one_row head_rows.cu "at(args.slot)[n] : n" "at(args.slot)[n] : 0")
troupe_plant(heads_gradient_of_the_next head_rows.cu "rotated_back({dy[first], dy[first + half]}"
  "rotated_back({dy[first], dy[first + d]}")
troupe_plant(heads_gradient_past_its_columns head_rows.cu "is_inside = column < d"
  "is_inside = column <= d")
troupe_plant(attention_without_barrier attention.cu "      sync_block();\n      softmax(" "      softmax(")
troupe_plant(attention_without_second_barrier attention.cu
  "      sync_block();\n      add_values" "      add_values")
troupe_plant(attention_without_last_barrier attention.cu
  "    sync_block();  // All of it is free for the next tile.\n" "")
troupe_plant(attention_past_the_context attention.cu "has_key[f] = j < keys" "has_key[f] = j >= 0")
troupe_plant(attention_in_one_row attention.cu
  "bf16_at(args.out)[tile.row(shape, args.H, r) * width + column]" "bf16_at(args.out)[column]")
troupe_plant(logprob_one_set_of_partials token_logprob.cu "sum = row_sum(sum, entropies)"
  "static_cast<void>(entropies);\n  sum = row_sum(sum, partials)")
troupe_plant(logprob_one_row token_logprob.cu "at(args.lse)[n] = lse" "at(args.lse)[0] = lse")
troupe_plant(logprob_gradient_past_the_row token_logprob.cu "if (v >= args.V) continue"
  "if (v > args.V) continue")
troupe_plant(sample_without_barrier sample.cu
  "  sync_block(place);  // Nobody reads what was there any more.\n" "")
troupe_plant(sample_past_the_row sample.cu "begin + part < V ? begin + part : V;" "begin + part;")
troupe_plant(sample_one_token sample.cu "at(args.token)[n] = chosen" "at(args.token)[0] = chosen")
troupe_plant(attention_gradient_without_barrier attention_backward.cu
  "      sync_block();  // The factors' place is free for the next step.\n" "")
troupe_plant(attention_gradient_in_place attention_backward.cu
  "          sync_warp(kAllLanes);  // What lies in the place of element j was read.\n" "")
troupe_plant(attention_gradient_past_the_sequence attention_backward.cu
  "if (j >= tile.tokens || column >= end) continue" "if (column >= end) continue")
troupe_plant(attention_gradient_one_dot attention_backward.cu
  "at(dots)[tile.row(shape, args.H, r)]" "at(dots)[0]")
troupe_plant(swiglu_past_the_row swiglu.cu "if (f < args.F)" "if (f <= args.F)")
troupe_plant(swiglu_gradient_past_the_row swiglu.cu "      if (f + i >= F) continue;\n" "")
troupe_plant(swiglu_gradient_one_sum swiglu.cu "at(args.dweight)[slot]" "at(args.dweight)[0]")
troupe_plant(norm_gradient_one_row rmsnorm.cu "at(args.dx) + row * args.ldx" "at(args.dx)")
troupe_plant(norm_gradient_without_barrier rmsnorm.cu "low + high;\n    sync_block();" "low + high;")
troupe_plant(norm_gradient_past_its_columns rmsnorm.cu "is_inside = d < args.D"
  "is_inside = d <= args.D")
troupe_plant(embedding_past_the_row embedding.cu "d < args.D; d += kRowThreads) to[d] = from[d]"
  "d <= args.D; d += kRowThreads) to[d] = from[d]")
troupe_plant(embedding_gradient_by_all embedding.cu "is_first = from >= n;" "is_first = true;")
troupe_plant(embedding_gradient_without_barrier embedding.cu "= same;\n    sync_block();\n"
  "= same;\n")
troupe_plant(embedding_gradient_one_set embedding.cu "set ^= kRowWarps" "set = 0")
troupe_plant(adamw_past_the_end adamw.cu "if (i >= args.n)" "if (i > args.n)")
troupe_plant(gate_without_barrier gate.cu "  sync_block();\n  if (thread_index() >= kWarp) return;"
  "  if (thread_index() >= kWarp) return;")
troupe_plant(gate_past_its_experts gate.cu "e = lane; e < E;" "e = lane; e <= E;")
troupe_plant(gate_return_before_a_shuffle gate.cu "  int place = 0;\n"
  "  if (lane >= K) return;\n  int place = 0;\n")
troupe_plant(gate_one_row gate.cu "float* score = at(args.score) + n * E;\n\n"
  "float* score = at(args.score);\n\n")
troupe_plant(store_past_the_row store.cu "if (column < args.n) to[column]"
  "if (column <= args.n) to[column]")
troupe_plant(round_past_the_end store.cu "if (n < args.n) at(args.x)[n]"
  "if (n <= args.n) at(args.x)[n]")
troupe_plant(pack_past_the_source pack.cu "row0 + lane < rows && col0 + i < cols"
  "col0 + i < cols")
troupe_plant(pack_without_barrier pack.cu "  sync_block();\n"
  "")
troupe_plant(add_past_the_end add.cu "if (n < args.n)"
  "if (n <= args.n)")
troupe_plant(square_sums_without_barrier add.cu "    sync_block();\n    if (thread_index() < half)"
  "    if (thread_index() < half)")
troupe_plant(square_sums_one_chunk add.cu "at(args.sums)[chunk]"
  "at(args.sums)[0]")
troupe_plant(bias_one_row bias.cu "at(args.y) + block_index().x * args.n"
  "at(args.y)")
troupe_plant(bias_gradient_past_its_columns bias.cu "is_inside = column < args.n"
  "is_inside = column <= args.n")
troupe_plant(bias_gradient_without_barrier bias.cu "low + high;\n    sync_block();"
  "low + high;")
troupe_plant(gate_gradient_without_barrier gate.cu "  sync_block();\n  for (int e = thread_index(); e < E; e += kRowThreads) {\n    float gradient"
  "  for (int e = thread_index(); e < E; e += kRowThreads) {\n    float gradient")
troupe_plant(gate_gradient_one_row gate.cu "bf16_at(args.dlogit) + n * E"
  "bf16_at(args.dlogit)")
troupe_plant(route_without_barrier route.cu "population(own);\n    sync_block();"
  "population(own);")
troupe_plant(route_one_set route.cu "set ^= kWarps"
  "set = 0")
troupe_plant(route_past_its_experts route.cu "ends[first + lane] = end"
  "ends[first + lane + 1] = end")
troupe_plant(groups_past_the_last product.cu "group < groups ? offsets[group + 1] - offsets[group] : 0"
  "group <= groups ? offsets[group + 1] - offsets[group] : 0")
troupe_plant(groups_without_their_end product.cu "return {begin, offsets[first + found + 1], first + found}"
  "return {begin, begin + tile_m, first + found}")
troupe_plant(combine_past_its_columns combine_experts.cu "if (column >= width) return"
  "if (column > width) return")
troupe_plant(combine_one_row combine_experts.cu "[n * args.D + first + column]"
  "[first + column]")
troupe_plant(combine_rows_of_the_next combine_experts.cu "slot_row[k] * ld" "slot_row[k + 1] * ld")
troupe_plant(weight_gradient_without_wait weight_gradient.cu "    copy_wait<kStages - 2>();\n"
  "")
troupe_plant(weight_gradient_without_barrier weight_gradient.cu "    sync_block();  // All copies of this step have come, and the stage before it is free.\n"
  "")
troupe_plant(weight_gradient_past_the_rows weight_gradient.cu "const bool is_there = t < T;"
  "const bool is_there = t <= T;")
troupe_plant(weight_gradient_past_the_columns weight_gradient.cu "if (row >= args.rows || col >= args.cols) continue;"
  "if (row >= args.rows) continue;")
troupe_plant(weight_gradient_one_group weight_gradient.cu "at(args.dw) + group * grouped.dw_stride"
  "at(args.dw)")
