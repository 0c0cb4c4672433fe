'use strict';
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const charts = [...document.querySelectorAll('figure.chart')];
const plots = charts.map((figure) => figure.querySelector('.plot'));

charts.forEach((figure, place) => {
  const { data, layout } = JSON.parse(figure.querySelector('script').textContent);
  layout.font = { ...layout.font, color: css('--ink'), family: css('--font') };
  Plotly.newPlot(plots[place], data, layout, { displayModeBar: false, responsive: true });
});

const redraw = (change) => plots.forEach((plot) => Plotly.relayout(plot, change));
matchMedia('(prefers-color-scheme: dark)').onchange = () => redraw({ 'font.color': css('--ink') });
onbeforeprint = () => redraw({ 'font.color': '#17202e', width: 640 });
onafterprint = () => redraw({ 'font.color': css('--ink'), width: null, autosize: true });

const save = (blob, name) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const csv = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => {
  const text = cell.dataset.value ?? (cell.textContent === '–' ? '' : cell.textContent);
  return /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}).join(',')).join('\n') + '\n';
const image = (plot, format, filename) => {
  const [width, height] = [plot.clientWidth, plot.clientHeight];
  const layout = { ...plot.layout, paper_bgcolor: css('--paper'), width, height };
  Plotly.downloadImage({ data: plot.data, layout }, { format, filename, width, height, scale: 2 });
};
document.addEventListener('click', (event) => {
  const format = event.target.dataset?.save;
  if (!format) return;
  const figure = event.target.closest('figure');
  const name = event.target.parentElement.dataset.name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-');
  if (format === 'csv') save(new Blob([csv(figure.querySelector('table'))], { type: 'text/csv' }), name + '.csv');
  else image(figure.querySelector('.plot'), format, name);
});

const sides = Object.fromEntries([...document.querySelectorAll('select')].map((each) => [each.dataset.side, each]));
const show = () => document.querySelectorAll('.slider').forEach((slider) => {
  for (const picture of slider.querySelectorAll('img')) picture.className = '';
  for (const side of ['left', 'right']) {
    const name = sides[side].value;
    const picture = [...slider.querySelectorAll('img')].find((each) => each.dataset.model === name);
    if (!picture.className) picture.className = side;  // the same model on both sides is one picture
    slider.querySelector(side === 'left' ? 'b.l' : 'b.r').textContent = name;
  }
});
for (const select of Object.values(sides)) select.onchange = show;
for (const range of document.querySelectorAll('.slider input')) {
  range.oninput = () => range.parentElement.style.setProperty('--at', range.value + '%');
}
for (const picture of document.querySelectorAll('.slider img')) {  // a tall one is seen whole
  picture.decode().then(() => {
    picture.parentElement.style.maxWidth = 90 * picture.naturalWidth / picture.naturalHeight + 'vh';
  });
}
if (sides.left) show();
