// Lets a reader choose a row or a feature, and sort and filter tables. All that it shows was made beforehand; without it
// the page has the same figures of the rows and features that matter most.
"use strict";
(() => {
  // A notebook may show several reports in one page.
  const root = document.currentScript?.previousElementSibling ?? document.querySelector(".tfxe");
  const source = root.querySelector("script[type='application/json']");
  const panels = source ? JSON.parse(source.textContent) : [];

  const build = (one, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    one.append(...children);
    return one;
  };
  const html = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
  const labelled = (text, control) => html("label", {}, html("span", {}, text), control);
  const track = (...children) => {
    const cell = html("td", {class: "bar", "aria-hidden": "true"});
    cell.append(html("span", {class: "track"}, ...children));
    return cell;
  };
  const mark = at => html("span", {class: "mark", style: `left:${at}%`});

  // A row

  const end = (name, at, value) => html("tr", {class: "end"}, html("th", {scope: "row"}, name), html("td"),
    track(mark(at)), html("td", {class: "num"}, value), html("td"));

  const step = ([label, value, attribution, error, left, width, isUp]) => html("tr", {},
    html("th", {scope: "row"}, label), html("td", {class: "value"}, html("bdi", {}, value)),
    track(html("span", {class: `fill ${isUp ? "plus" : "minus"}`, style: `left:${left}%;width:${width}%`})),
    html("td", {class: `num ${isUp ? "up" : "down"}`}, attribution), html("td", {class: "num soft"}, error));

  const headings = names => html("thead", {}, html("tr", {}, ...names.map(([name, of]) => html("th", of, name))));

  const waterfall = row => {
    const label = `Row ${row.id}: attributions from base value to prediction`;
    const told = html("p", {class: "note"}, `From the base value ${row.base} to the prediction `,
      html("b", {}, row.prediction), ...(row.probability.length
        ? [`; in probability from ${row.probability[0]} to `, html("b", {}, row.probability[1])] : []), ".");
    const table = html("table", {class: "flow", "aria-label": label, style: `--zero:${row.at[0]}%`},
      headings([["Feature", {}], ["Value", {}], ["", {"aria-hidden": "true"}], ["Attribution", {class: "num"}],
        ["± error", {class: "num"}]]),
      html("tbody", {}, end("Base value", row.at[0], row.base), ...row.steps.map(step),
        end("Prediction", row.at[1], row.prediction)));
    return [html("h3", {}, "Row ", html("bdi", {}, row.id)), told,
      html("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": label}, table),
      ...(row.reasons ? reasons(row.reasons) : [])];
  };

  const reasons = ({note, lines}) => {
    const about = `Reasons for the adverse side:${lines.length ? "" : ` ${note}`}`;
    const items = lines.map(([rank, name, attribution, error, doubts]) => html("li", {}, `${rank}. `,
      html("bdi", {}, name), " ",
      html("span", {class: "soft"}, `${attribution} ± ${error}${doubts && `, ${doubts}`}`)));
    if (lines.length && note) items.push(html("li", {class: "soft"}, note));
    return [html("p", {class: "note"}, about), ...(items.length ? [html("ul", {class: "reasons"}, ...items)] : [])];
  };

  const chooseRow = (section, rows, place) => {
    const shown = html("div", {class: "chosen", "aria-live": "polite"});
    const ids = html("datalist", {id: `tfxe-ids-${place}`}, ...rows.map(row => html("option", {value: row.id})));
    const field = html("input", {list: ids.id, autocomplete: "off", placeholder: "its name"});
    const show = row => {
      field.value = row.id;
      shown.replaceChildren(...waterfall(row));
    };
    field.addEventListener("change", () => {
      const found = rows.find(row => row.id === field.value.trim());
      if (found) show(found);
      else shown.replaceChildren(html("p", {class: "note"}, "No such row in this page's sample."));
    });
    const line = row => {
      const button = html("button", {type: "button"}, row.id);
      button.addEventListener("click", () => {
        show(row);
        field.scrollIntoView({block: "center"});
      });
      const most = row.steps.slice(0, 3).map(([label, , attribution]) => `${label} ${attribution}`).join(", ");
      return html("tr", {}, html("th", {scope: "row"}, button), html("td", {class: "num"}, row.prediction),
        ...(row.probability.length ? [html("td", {class: "num"}, row.probability[1])] : []), html("td", {}, most));
    };
    const label = `The ${rows.length} rows of this page's sample`;
    const names = [["Row", {}], ["Prediction", {class: "num"}],
      ...(rows[0].probability.length ? [["Probability", {class: "num"}]] : []), ["Largest attributions", {}]];
    const table = html("table", {class: "sortable", "aria-label": label}, headings(names), html("tbody"));
    const all = html("details", {}, html("summary", {}, label),
      html("div", {class: "scroll tall", tabindex: "0", role: "group", "aria-label": label}, table));
    all.addEventListener("toggle", () => {
      if (table.tBodies[0].rows.length) return;
      table.tBodies[0].append(...rows.map(line));
      sortable(table);
    });
    section.prepend(html("div", {class: "card choose"}, labelled("Choose a row", field), ids, shown, all));
  };

  // A feature

  const drawScatter = (figure, found) => {
    const picture = figure.querySelector("svg");
    const svg = (tag, attributes, ...children) =>
      build(document.createElementNS(picture.namespaceURI, tag), attributes, children);
    const [width, height] = [picture.viewBox.baseVal.width, picture.viewBox.baseVal.height];
    const line = (y, of) => svg("line", {class: of, x1: 56, x2: width - 12, y1: y, y2: y});
    const tick = (x, y, anchor, label) => svg("text", {class: "axis", x, y, "text-anchor": anchor}, label);
    picture.setAttribute("aria-label", found.summary);
    picture.replaceChildren(
      ...found.y.flatMap(([y, label]) => [line(y, "lane"), tick(50, y + 4, "end", label)]), line(found.zero, "zero"),
      ...found.x.map(([x, label]) => tick(x, height - 8, "middle", label)),
      ...found.dots.split(" ").map(dot => dot.split(",")).map(([cx, cy, colour]) =>
        svg("circle", {class: `s${colour}`, r: 3, cx, cy})));
    const keys = found.legend.length ? found.legend : [["0", "low"], ["6", "high"]];
    figure.querySelector("figcaption").replaceChildren(html("bdi", {}, found.of), ...(found.by
      ? [", coloured by ", html("bdi", {}, found.by),
        ...keys.flatMap(([colour, name]) => [" ", html("span", {class: `key s${colour}`}, "●"), ` ${name}`])] : []));
  };

  const chooseFeature = (section, scatters) => {
    const select = html("select", {}, ...scatters.map((found, at) => html("option", {value: at}, found.player)));
    select.addEventListener("change", () => drawScatter(section.querySelector("figure"), scatters[select.value]));
    section.prepend(html("div", {class: "choose"}, labelled("Choose a feature", select)));
  };

  // Tables

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const exact = cell.querySelector("data");
    const text = cell.textContent.trim();
    const number = Number.parseFloat(exact ? exact.value : text.replaceAll(",", "").replace("\u2212", "-"));
    return cell.classList.contains("num") ? (Number.isNaN(number) ? -Infinity : number) : text;
  };
  const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true});

  function sortable(table) {
    const body = table.tBodies[0];
    const fixed = [...body.querySelectorAll(".fixed")];
    const moving = [...body.rows].filter(row => !row.classList.contains("fixed"));
    if (moving.length < 3) return;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = html("button", {type: "button", class: "sort"}, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const isNumber = head.classList.contains("num");
        const down = head.ariaSort ? head.ariaSort === "ascending" : isNumber;
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.ariaSort = down ? "descending" : "ascending";
        moving.sort((a, b) => (down ? -1 : 1) * compare(valueOf(a, column), valueOf(b, column)));
        body.append(...moving, ...fixed);
      });
    });
    if (moving.length < 12) return;
    const field = html("input", {type: "search", placeholder: "part of a name"});
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase();
      for (const row of moving) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    table.parentElement.before(html("div", {class: "choose"}, labelled("Filter", field)));
  }

  root.querySelectorAll("table.sortable").forEach(table => {
    if (table.tBodies[0].rows.length) sortable(table);
  });
  root.querySelectorAll("[data-rows]").forEach(section => {
    const rows = panels[section.dataset.rows].rows;
    if (rows.length) chooseRow(section, rows, section.dataset.rows);
  });
  root.querySelectorAll("[data-scatter]").forEach(section => {
    const scatters = panels[section.dataset.scatter].scatters;
    if (scatters.length > 1) chooseFeature(section, scatters);
  });
})();
