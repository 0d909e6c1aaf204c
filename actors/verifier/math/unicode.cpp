#include "actors/verifier/math/unicode.h"

#include <algorithm>
#include <iterator>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

struct Spelling {
  std::string_view bytes;
  std::string_view ascii;
};

// Sorted by their bytes, because they are searched for; the comments show the characters.
constexpr Spelling kSpellings[] = {
    {"\xC2\xA0", " "},                                                      // U+00A0
    {"\xC2\xA2", "\\text{ cents}"},                                         // ¢
    {"\xC2\xA3", "\\pounds "},                                              // £
    {"\xC2\xA5", "\\yuan "},                                                // ¥
    {"\xC2\xAD", ""},                                                       // U+00AD
    {"\xC2\xB0", "^\\circ "},                                               // °
    {"\xC2\xB1", "\\pm "},                                                  // ±
    {"\xC2\xB5", "\\mu "},                                                  // µ
    {"\xC2\xB7", "\\cdot "},                                                // ·
    {"\xC2\xBA", "^\\circ "},                                               // º
    {"\xC2\xBC", "\\frac{1}{4}"},                                           // ¼
    {"\xC2\xBD", "\\frac{1}{2}"},                                           // ½
    {"\xC2\xBE", "\\frac{3}{4}"},                                           // ¾
    {"\xC3\x85", "\\text{ angstrom}"},                                      // Å
    {"\xC3\x97", "\\times "},                                               // ×
    {"\xC3\xB7", "\\div "},                                                 // ÷
    {"\xCB\x9A", "^\\circ "},                                               // ˚
    {"\xCE\x93", "\\Gamma "},                                               // Γ
    {"\xCE\x94", "\\Delta "},                                               // Δ
    {"\xCE\x98", "\\Theta "},                                               // Θ
    {"\xCE\x9B", "\\Lambda "},                                              // Λ
    {"\xCE\x9E", "\\Xi "},                                                  // Ξ
    {"\xCE\xA0", "\\Pi "},                                                  // Π
    {"\xCE\xA3", "\\Sigma "},                                               // Σ
    {"\xCE\xA6", "\\Phi "},                                                 // Φ
    {"\xCE\xA8", "\\Psi "},                                                 // Ψ
    {"\xCE\xA9", "\\Omega "},                                               // Ω
    {"\xCE\xB1", "\\alpha "},                                               // α
    {"\xCE\xB2", "\\beta "},                                                // β
    {"\xCE\xB3", "\\gamma "},                                               // γ
    {"\xCE\xB4", "\\delta "},                                               // δ
    {"\xCE\xB5", "\\epsilon "},                                             // ε
    {"\xCE\xB6", "\\zeta "},                                                // ζ
    {"\xCE\xB7", "\\eta "},                                                 // η
    {"\xCE\xB8", "\\theta "},                                               // θ
    {"\xCE\xB9", "\\iota "},                                                // ι
    {"\xCE\xBA", "\\kappa "},                                               // κ
    {"\xCE\xBB", "\\lambda "},                                              // λ
    {"\xCE\xBC", "\\mu "},                                                  // μ
    {"\xCE\xBD", "\\nu "},                                                  // ν
    {"\xCE\xBE", "\\xi "},                                                  // ξ
    {"\xCF\x80", "\\pi "},                                                  // π
    {"\xCF\x81", "\\rho "},                                                 // ρ
    {"\xCF\x83", "\\sigma "},                                               // σ
    {"\xCF\x84", "\\tau "},                                                 // τ
    {"\xCF\x85", "\\upsilon "},                                             // υ
    {"\xCF\x86", "\\phi "},                                                 // φ
    {"\xCF\x87", "\\chi "},                                                 // χ
    {"\xCF\x88", "\\psi "},                                                 // ψ
    {"\xCF\x89", "\\omega "},                                               // ω
    {"\xCF\x95", "\\phi "},                                                 // ϕ
    {"\xCF\xB5", "\\epsilon "},                                             // ϵ
    {"\xE2\x80\x82", " "},                                                  // U+2002
    {"\xE2\x80\x83", " "},                                                  // U+2003
    {"\xE2\x80\x84", " "},                                                  // U+2004
    {"\xE2\x80\x85", " "},                                                  // U+2005
    {"\xE2\x80\x86", " "},                                                  // U+2006
    {"\xE2\x80\x87", " "},                                                  // U+2007
    {"\xE2\x80\x88", " "},                                                  // U+2008
    {"\xE2\x80\x89", " "},                                                  // U+2009
    {"\xE2\x80\x8A", " "},                                                  // U+200A
    {"\xE2\x80\x8B", ""},                                                   // U+200B
    {"\xE2\x80\x8C", ""},                                                   // U+200C
    {"\xE2\x80\x8D", ""},                                                   // U+200D
    {"\xE2\x80\x8E", ""},                                                   // U+200E
    {"\xE2\x80\x8F", ""},                                                   // U+200F
    {"\xE2\x80\x90", "-"},                                                  // ‐
    {"\xE2\x80\x91", "-"},                                                  // ‑
    {"\xE2\x80\x92", "-"},                                                  // ‒
    {"\xE2\x80\x93", "-"},                                                  // –
    {"\xE2\x80\x94", "-"},                                                  // —
    {"\xE2\x80\x99", "'"},                                                  // ’
    {"\xE2\x80\xA6", "\\ldots "},                                           // …
    {"\xE2\x80\xAA", ""},                                                   // U+202A
    {"\xE2\x80\xAB", ""},                                                   // U+202B
    {"\xE2\x80\xAC", ""},                                                   // U+202C
    {"\xE2\x80\xAD", ""},                                                   // U+202D
    {"\xE2\x80\xAE", ""},                                                   // U+202E
    {"\xE2\x80\xAF", " "},                                                  // U+202F
    {"\xE2\x80\xB2", "'"},                                                  // ′
    {"\xE2\x81\x84", "/"},                                                  // ⁄
    {"\xE2\x81\x9F", " "},                                                  // U+205F
    {"\xE2\x81\xA0", ""},                                                   // U+2060
    {"\xE2\x81\xA1", ""},                                                   // U+2061
    {"\xE2\x81\xA2", ""},                                                   // U+2062
    {"\xE2\x81\xA3", ""},                                                   // U+2063
    {"\xE2\x81\xA4", ""},                                                   // U+2064
    {"\xE2\x81\xA6", ""},                                                   // U+2066
    {"\xE2\x81\xA7", ""},                                                   // U+2067
    {"\xE2\x81\xA8", ""},                                                   // U+2068
    {"\xE2\x81\xA9", ""},                                                   // U+2069
    {"\xE2\x82\xAC", "\\euro "},                                            // €
    {"\xE2\x82\xB9", "\\rupee "},                                           // ₹
    {"\xE2\x84\x82", "\\mathbb{C}"},                                        // ℂ
    {"\xE2\x84\x83", "^\\circ\\text{C}"},                                   // ℃
    {"\xE2\x84\x89", "^\\circ\\text{F}"},                                   // ℉
    {"\xE2\x84\x95", "\\mathbb{N}"},                                        // ℕ
    {"\xE2\x84\x9A", "\\mathbb{Q}"},                                        // ℚ
    {"\xE2\x84\x9D", "\\mathbb{R}"},                                        // ℝ
    {"\xE2\x84\xA4", "\\mathbb{Z}"},                                        // ℤ
    {"\xE2\x84\xA6", "\\Omega "},                                           // Ω
    {"\xE2\x84\xAB", "\\text{ angstrom}"},                                  // Å
    {"\xE2\x85\x90", "\\frac{1}{7}"},                                       // ⅐
    {"\xE2\x85\x91", "\\frac{1}{9}"},                                       // ⅑
    {"\xE2\x85\x92", "\\frac{1}{10}"},                                      // ⅒
    {"\xE2\x85\x93", "\\frac{1}{3}"},                                       // ⅓
    {"\xE2\x85\x94", "\\frac{2}{3}"},                                       // ⅔
    {"\xE2\x85\x95", "\\frac{1}{5}"},                                       // ⅕
    {"\xE2\x85\x96", "\\frac{2}{5}"},                                       // ⅖
    {"\xE2\x85\x97", "\\frac{3}{5}"},                                       // ⅗
    {"\xE2\x85\x98", "\\frac{4}{5}"},                                       // ⅘
    {"\xE2\x85\x99", "\\frac{1}{6}"},                                       // ⅙
    {"\xE2\x85\x9A", "\\frac{5}{6}"},                                       // ⅚
    {"\xE2\x85\x9B", "\\frac{1}{8}"},                                       // ⅛
    {"\xE2\x85\x9C", "\\frac{3}{8}"},                                       // ⅜
    {"\xE2\x85\x9D", "\\frac{5}{8}"},                                       // ⅝
    {"\xE2\x85\x9E", "\\frac{7}{8}"},                                       // ⅞
    {"\xE2\x86\x92", "\\to "},                                              // →
    {"\xE2\x87\x92", "\\Rightarrow "},                                      // ⇒
    {"\xE2\x88\x85", "\\emptyset "},                                        // ∅
    {"\xE2\x88\x86", "\\Delta "},                                           // ∆
    {"\xE2\x88\x88", "\\in "},                                              // ∈
    {"\xE2\x88\x89", "\\notin "},                                           // ∉
    {"\xE2\x88\x8F", "\\prod "},                                            // ∏
    {"\xE2\x88\x91", "\\sum "},                                             // ∑
    {"\xE2\x88\x92", "-"},                                                  // −
    {"\xE2\x88\x93", "\\mp "},                                              // ∓
    {"\xE2\x88\x95", "/"},                                                  // ∕
    {"\xE2\x88\x96", "\\setminus "},                                        // ∖
    {"\xE2\x88\x97", "*"},                                                  // ∗
    {"\xE2\x88\x99", "\\cdot "},                                            // ∙
    {"\xE2\x88\x9A", "\\sqrt "},                                            // √
    {"\xE2\x88\x9B", "\\sqrt[3]"},                                          // ∛
    {"\xE2\x88\x9C", "\\sqrt[4]"},                                          // ∜
    {"\xE2\x88\x9E", "\\infty "},                                           // ∞
    {"\xE2\x88\xA0", "\\angle "},                                           // ∠
    {"\xE2\x88\xA3", "|"},                                                  // ∣
    {"\xE2\x88\xA7", "\\land "},                                            // ∧
    {"\xE2\x88\xA8", "\\lor "},                                             // ∨
    {"\xE2\x88\xA9", "\\cap "},                                             // ∩
    {"\xE2\x88\xAA", "\\cup "},                                             // ∪
    {"\xE2\x88\xAB", "\\int "},                                             // ∫
    {"\xE2\x88\xB4", "\\therefore "},                                       // ∴
    {"\xE2\x88\xBC", "\\sim "},                                             // ∼
    {"\xE2\x89\x83", "\\simeq "},                                           // ≃
    {"\xE2\x89\x85", "\\cong "},                                            // ≅
    {"\xE2\x89\x88", "\\approx "},                                          // ≈
    {"\xE2\x89\x92", "\\approx "},                                          // ≒
    {"\xE2\x89\xA0", "\\ne "},                                              // ≠
    {"\xE2\x89\xA1", "\\equiv "},                                           // ≡
    {"\xE2\x89\xA4", "\\le "},                                              // ≤
    {"\xE2\x89\xA5", "\\ge "},                                              // ≥
    {"\xE2\x89\xA6", "\\le "},                                              // ≦
    {"\xE2\x89\xA7", "\\ge "},                                              // ≧
    {"\xE2\x8B\x85", "\\cdot "},                                            // ⋅
    {"\xE2\x8B\xAF", "\\ldots "},                                           // ⋯
    {"\xE2\x8C\x88", "\\lceil "},                                           // ⌈
    {"\xE2\x8C\x89", "\\rceil "},                                           // ⌉
    {"\xE2\x8C\x8A", "\\lfloor "},                                          // ⌊
    {"\xE2\x8C\x8B", "\\rfloor "},                                          // ⌋
    {"\xE2\x91\xA0", "\\circled{1}"},                                       // ①
    {"\xE2\x91\xA1", "\\circled{2}"},                                       // ②
    {"\xE2\x91\xA2", "\\circled{3}"},                                       // ③
    {"\xE2\x91\xA3", "\\circled{4}"},                                       // ④
    {"\xE2\x91\xA4", "\\circled{5}"},                                       // ⑤
    {"\xE2\x91\xA5", "\\circled{6}"},                                       // ⑥
    {"\xE2\x91\xA6", "\\circled{7}"},                                       // ⑦
    {"\xE2\x91\xA7", "\\circled{8}"},                                       // ⑧
    {"\xE2\x91\xA8", "\\circled{9}"},                                       // ⑨
    {"\xE2\x91\xA9", "\\circled{10}"},                                      // ⑩
    {"\xE2\x91\xAA", "\\circled{11}"},                                      // ⑪
    {"\xE2\x91\xAB", "\\circled{12}"},                                      // ⑫
    {"\xE2\x91\xAC", "\\circled{13}"},                                      // ⑬
    {"\xE2\x91\xAD", "\\circled{14}"},                                      // ⑭
    {"\xE2\x91\xAE", "\\circled{15}"},                                      // ⑮
    {"\xE2\x91\xAF", "\\circled{16}"},                                      // ⑯
    {"\xE2\x91\xB0", "\\circled{17}"},                                      // ⑰
    {"\xE2\x91\xB1", "\\circled{18}"},                                      // ⑱
    {"\xE2\x91\xB2", "\\circled{19}"},                                      // ⑲
    {"\xE2\x91\xB3", "\\circled{20}"},                                      // ⑳
    {"\xE2\x9C\x95", "\\times "},                                           // ✕
    {"\xE2\x9C\x96", "\\times "},                                           // ✖
    {"\xE2\x9F\xA8", "\\langle "},                                          // ⟨
    {"\xE2\x9F\xA9", "\\rangle "},                                          // ⟩
    {"\xE2\xA9\xBD", "\\le "},                                              // ⩽
    {"\xE2\xA9\xBE", "\\ge "},                                              // ⩾
    {"\xE3\x80\x80", " "},                                                  // U+3000
    {"\xE3\x80\x81", ","},                                                  // 、
    {"\xE3\x80\x82", "."},                                                  // 。
    {"\xE3\x80\x88", "\\langle "},                                          // 〈
    {"\xE3\x80\x89", "\\rangle "},                                          // 〉
    {"\xE3\x80\x90", "["},                                                  // 【
    {"\xE3\x80\x91", "]"},                                                  // 】
    {"\xE4\xB8\x8E", " and "},                                              // 与
    {"\xE4\xB8\x94", " and "},                                              // 且
    {"\xE4\xB8\xAA", "\\text{ unit}"},                                      // 个
    {"\xE4\xB8\xAA\xE6\x9C\x88", "\\text{ month}"},                         // 个月
    {"\xE4\xBA\xBA", "\\text{ person}"},                                    // 人
    {"\xE4\xBB\xA5\xE5\x8F\x8A", " and "},                                  // 以及
    {"\xE4\xBB\xB6", "\\text{ unit}"},                                      // 件
    {"\xE4\xBC\x8F\xE7\x89\xB9", "\\text{ volt}"},                          // 伏特
    {"\xE4\xBD\x8D", "\\text{ unit}"},                                      // 位
    {"\xE5\x85\x83", "\\text{ yuan}"},                                      // 元
    {"\xE5\x85\x8B", "\\text{ g}"},                                         // 克
    {"\xE5\x85\xAC\xE6\x96\xA4", "\\text{ kg}"},                            // 公斤
    {"\xE5\x85\xAC\xE9\x87\x8C", "\\text{ km}"},                            // 公里
    {"\xE5\x88\x86\xE7\xB1\xB3", "\\text{ dm}"},                            // 分米
    {"\xE5\x88\x86\xE9\x92\x9F", "\\text{ min}"},                           // 分钟
    {"\xE5\x8D\x83\xE5\x85\x8B", "\\text{ kg}"},                            // 千克
    {"\xE5\x8D\x83\xE7\xB1\xB3", "\\text{ km}"},                            // 千米
    {"\xE5\x8D\x87", "\\text{ liter}"},                                     // 升
    {"\xE5\x8E\x98\xE7\xB1\xB3", "\\text{ cm}"},                            // 厘米
    {"\xE5\x8F\x8A", " and "},                                              // 及
    {"\xE5\x8F\xAA", "\\text{ unit}"},                                      // 只
    {"\xE5\x90\x8D", "\\text{ unit}"},                                      // 名
    {"\xE5\x90\xA8", "\\text{ tonne}"},                                     // 吨
    {"\xE5\x91\xA8", "\\text{ week}"},                                      // 周
    {"\xE5\x92\x8C", " and "},                                              // 和
    {"\xE5\xA4\xA7\xE7\xBA\xA6", "\\approx "},                              // 大约
    {"\xE5\xA4\xA9", "\\text{ day}"},                                       // 天
    {"\xE5\xA4\xB4", "\\text{ unit}"},                                      // 头
    {"\xE5\xB0\x8F\xE6\x97\xB6", "\\text{ h}"},                             // 小时
    {"\xE5\xB2\x81", "\\text{ year}"},                                      // 岁
    {"\xE5\xB9\xB3\xE6\x96\xB9\xE5\x85\xAC\xE9\x87\x8C", "\\text{ km}^2"},  // 平方公里
    {"\xE5\xB9\xB3\xE6\x96\xB9\xE5\x88\x86\xE7\xB1\xB3", "\\text{ dm}^2"},  // 平方分米
    {"\xE5\xB9\xB3\xE6\x96\xB9\xE5\x8D\x83\xE7\xB1\xB3", "\\text{ km}^2"},  // 平方千米
    {"\xE5\xB9\xB3\xE6\x96\xB9\xE5\x8E\x98\xE7\xB1\xB3", "\\text{ cm}^2"},  // 平方厘米
    {"\xE5\xB9\xB3\xE6\x96\xB9\xE6\xAF\xAB\xE7\xB1\xB3", "\\text{ mm}^2"},  // 平方毫米
    {"\xE5\xB9\xB3\xE6\x96\xB9\xE7\xB1\xB3", "\\text{ m}^2"},               // 平方米
    {"\xE5\xB9\xB4", "\\text{ year}"},                                      // 年
    {"\xE5\xB9\xB6\xE4\xB8\x94", " and "},                                  // 并且
    {"\xE5\xBA\xA6", "^\\circ "},                                           // 度
    {"\xE5\xBC\xA0", "\\text{ unit}"},                                      // 张
    {"\xE5\xBE\xAE\xE7\xB1\xB3", "\\text{ micrometer}"},                    // 微米
    {"\xE6\x88\x96", " or "},                                               // 或
    {"\xE6\x88\x96\xE8\x80\x85", " or "},                                   // 或者
    {"\xE6\x91\x84\xE6\xB0\x8F\xE5\xBA\xA6", "^\\circ\\text{C}"},           // 摄氏度
    {"\xE6\x94\xAF", "\\text{ unit}"},                                      // 支
    {"\xE6\x97\xA0\xE5\xAE\x9E\xE6\x95\xB0\xE8\xA7\xA3", "\\text{no real solution}"},  // 无实数解
    {"\xE6\x97\xA0\xE8\xA7\xA3", "\\text{no solution}"},                               // 无解
    {"\xE6\x97\xA5", "\\text{ day}"},                                                  // 日
    {"\xE6\x97\xB6", "\\text{ h}"},                                                    // 时
    {"\xE6\x98\x9F\xE6\x9C\x9F", "\\text{ week}"},                                     // 星期
    {"\xE6\x9C\xAC", "\\text{ unit}"},                                                 // 本
    {"\xE6\x9D\xA1", "\\text{ unit}"},                                                 // 条
    {"\xE6\xA0\xB9\xE5\x8F\xB7", "\\sqrt "},                                           // 根号
    {"\xE6\xA3\xB5", "\\text{ unit}"},                                                 // 棵
    {"\xE6\xAC\xA1", "\\text{ time}"},                                                 // 次
    {"\xE6\xAF\x8F", "\\text{ per }"},                                                 // 每
    {"\xE6\xAF\xAB\xE5\x85\x8B", "\\text{ mg}"},                                       // 毫克
    {"\xE6\xAF\xAB\xE5\x8D\x87", "\\text{ ml}"},                                       // 毫升
    {"\xE6\xAF\xAB\xE7\xB1\xB3", "\\text{ mm}"},                                       // 毫米
    {"\xE6\xB2\xA1\xE6\x9C\x89\xE8\xA7\xA3", "\\text{no solution}"},                   // 没有解
    {"\xE7\x84\xA6\xE8\x80\xB3", "\\text{ joule}"},                                    // 焦耳
    {"\xE7\x89\x9B\xE9\xA1\xBF", "\\text{ newton}"},                                   // 牛顿
    {"\xE7\x93\xA6\xE7\x89\xB9", "\\text{ watt}"},                                     // 瓦特
    {"\xE7\xA7\x8D", "\\text{ unit}"},                                                 // 种
    {"\xE7\xA7\x92", "\\text{ s}"},                                                    // 秒
    {"\xE7\xA9\xBA\xE9\x9B\x86", "\\emptyset "},                                       // 空集
    {"\xE7\xAB\x8B\xE6\x96\xB9\xE5\x88\x86\xE7\xB1\xB3", "\\text{ dm}^3"},  // 立方分米
    {"\xE7\xAB\x8B\xE6\x96\xB9\xE5\x8E\x98\xE7\xB1\xB3", "\\text{ cm}^3"},  // 立方厘米
    {"\xE7\xAB\x8B\xE6\x96\xB9\xE6\xAF\xAB\xE7\xB1\xB3", "\\text{ mm}^3"},  // 立方毫米
    {"\xE7\xAB\x8B\xE6\x96\xB9\xE7\xB1\xB3", "\\text{ m}^3"},               // 立方米
    {"\xE7\xAD\x89\xE4\xBA\x8E", "="},                                      // 等于
    {"\xE7\xAD\x94\xE6\xA1\x88\xE4\xB8\xBA", "\\text{The answer is }"},     // 答案为
    {"\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF", "\\text{The answer is }"},     // 答案是
    {"\xE7\xB1\xB3", "\\text{ m}"},                                         // 米
    {"\xE7\xBA\xA6", "\\approx "},                                          // 约
    {"\xE7\xBA\xA6\xE4\xB8\xBA", "\\approx "},                              // 约为
    {"\xE7\xBA\xB3\xE7\xB1\xB3", "\\text{ nanometer}"},                     // 纳米
    {"\xE7\xBB\x84", "\\text{ unit}"},                                      // 组
    {"\xE7\xBE\x8E\xE5\x85\x83", "\\text{ dollar}"},                        // 美元
    {"\xE8\xBE\x86", "\\text{ unit}"},                                      // 辆
    {"\xE9\xA1\xB5", "\\text{ unit}"},                                      // 页
    {"\xEF\xB8\x8E", ""},                                                   // ︎
    {"\xEF\xB8\x8F", ""},                                                   // ️
    {"\xEF\xB9\xA3", "-"},                                                  // ﹣
    {"\xEF\xBB\xBF", ""},                                                   // U+FEFF
    {"\xEF\xBF\xA5", "\\text{ yuan}"},                                      // ￥
    {"\xF0\x9D\x9C\x8B", "\\pi "},                                          // 𝜋
    {"\xF0\x9D\x9D\x85", "\\pi "},                                          // 𝝅
};

// A digit or sign above or below the line.
struct RaisedMark {
  std::string_view bytes;
  char ascii;
};

constexpr RaisedMark kSuperscripts[] = {
    {"\xE2\x81\xB0", '0'}, {"\xC2\xB9", '1'},     {"\xC2\xB2", '2'},     {"\xC2\xB3", '3'},
    {"\xE2\x81\xB4", '4'}, {"\xE2\x81\xB5", '5'}, {"\xE2\x81\xB6", '6'}, {"\xE2\x81\xB7", '7'},
    {"\xE2\x81\xB8", '8'}, {"\xE2\x81\xB9", '9'}, {"\xE2\x81\xBA", '+'}, {"\xE2\x81\xBB", '-'},
    {"\xE2\x81\xBF", 'n'}, {"\xCB\xA3", 'x'},
};
constexpr RaisedMark kSubscripts[] = {
    {"\xE2\x82\x80", '0'}, {"\xE2\x82\x81", '1'}, {"\xE2\x82\x82", '2'}, {"\xE2\x82\x83", '3'},
    {"\xE2\x82\x84", '4'}, {"\xE2\x82\x85", '5'}, {"\xE2\x82\x86", '6'}, {"\xE2\x82\x87", '7'},
    {"\xE2\x82\x88", '8'}, {"\xE2\x82\x89", '9'},
};

constexpr size_t kSpellingBytesMax = 12;  // Four Chinese characters.

const Spelling* find_spelling(std::string_view text) {
  for (size_t length = std::min(kSpellingBytesMax, text.size()); length >= 2; --length) {
    const std::string_view begin = text.substr(0, length);
    const auto found = std::lower_bound(
        std::begin(kSpellings), std::end(kSpellings), begin,
        [](const Spelling& spelling, std::string_view bytes) { return spelling.bytes < bytes; });
    if (found != std::end(kSpellings) && found->bytes == begin) return found;
  }
  return nullptr;
}

// U+FF01 .. U+FF5E are ASCII in full width; 0 for other characters.
char narrow(std::string_view text) {
  if (text.size() < 3 || text[0] != '\xEF') return 0;
  const unsigned code = 0xF000u | (static_cast<unsigned char>(text[1]) & 0x3Fu) << 6 |
                        (static_cast<unsigned char>(text[2]) & 0x3Fu);
  return code >= 0xFF01 && code <= 0xFF5E ? static_cast<char>(code - 0xFEE0) : '\0';
}

struct Run {
  std::string ascii{};
  size_t num_bytes = 0;
};

// The marks of one kind that a text begins with: two of them are one exponent.
template <size_t N>
Run read_run(std::string_view text, const RaisedMark (&marks)[N]) {
  Run run;
  for (;;) {
    const std::string_view rest = text.substr(run.num_bytes);
    const auto mark = std::find_if(std::begin(marks), std::end(marks), [&](const RaisedMark& one) {
      return rest.starts_with(one.bytes);
    });
    if (mark == std::end(marks)) return run;
    run.ascii += mark->ascii;
    run.num_bytes += mark->bytes.size();
  }
}

// A line over the digit that stands last, or one more of them.
bool add_overline(std::string& out) {
  constexpr std::string_view kLine = "\\overline{";
  if (out.empty() || !is_digit(out.back())) return false;
  const char digit = out.back();
  out.pop_back();
  const size_t begin = out.ends_with('}') ? out.rfind(kLine) : out.npos;
  const bool goes_on = begin != out.npos &&
                       out.find_first_not_of("0123456789", begin + kLine.size()) == out.size() - 1;
  if (goes_on) {
    out.insert(out.size() - 1, 1, digit);
  } else {
    out += std::string(kLine) + digit + "}";
  }
  return true;
}

}  // namespace

std::string with_ascii(std::string_view text) {
  constexpr std::string_view kOverlines[] = {"\xCC\x84", "\xCC\x85"};
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      out += byte < 0x20 || byte == 0x7F ? ' ' : text[i];
      ++i;
      continue;
    }
    const bool is_line = rest.starts_with(kOverlines[0]) || rest.starts_with(kOverlines[1]);
    if (is_line && add_overline(out)) {
      i += 2;
      continue;
    }
    const Run above = read_run(rest, kSuperscripts);
    const Run below = above.num_bytes == 0 ? read_run(rest, kSubscripts) : Run{};
    if (above.num_bytes + below.num_bytes > 0) {
      out += above.num_bytes > 0 ? "^{" + above.ascii + "}" : "_{" + below.ascii + "}";
      i += above.num_bytes + below.num_bytes;
    } else if (const Spelling* spelling = find_spelling(rest)) {
      out += spelling->ascii;
      i += spelling->bytes.size();
    } else if (const char ascii = narrow(rest)) {
      out += ascii;
      i += 3;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace troupe::actors
